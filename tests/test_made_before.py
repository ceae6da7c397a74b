"""A deployment made by an earlier version of the code is read: models, bundles, keys, store.

tests/data/deployment-before.tar.xz holds the output folder of `hotlead train`, `import`, `promote` and
`serve` on the 400 leads of `small_crm`, with the toml files beside it; deployment-before-expected.json
holds what the registered model predicted then.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from scoring.model.bundle import load_bundle
from scoring.model.model import Model
from serving.web.api_keys import KeyCache
from tests.helpers.service.service_app import App
from tests.helpers.small_crm import run, small_crm
from tests.helpers.toml_files import DATA
from training.registry.mlflow_store import CHALLENGER, CHAMPION, MODEL_NAME, mlflow_store

FORMER_FOLDER = "/srv/before"
VERSION = "c86964010c73"
TOKEN = "hl_d7f27496_RgGSmuyPIcJ7ZxZsOdCXAjaB7m2dT1SsQEGwDb56K4U"
"""The key file holds its digest alone; the role is crm."""


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    """The extracted folder: the CSV files of its CRM are written anew, the toml files are its own."""
    folder = tmp_path / "before"
    folder.mkdir()
    small_crm(folder, leads=400)
    with tarfile.open(DATA / "deployment-before.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    replace_former_folder(folder)
    return folder


def replace_former_folder(folder: Path) -> None:
    """MLflow's store holds absolute paths: as after a move, they must name the present folder."""
    with closing(sqlite3.connect(folder / "hotlead-out" / "mlflow.db")) as database, database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for _, column, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                database.execute(
                    f'UPDATE {table} SET "{column}" = replace("{column}", ?, ?) WHERE "{column}" LIKE ?',
                    (FORMER_FOLDER, str(folder), f"%{FORMER_FOLDER}%"),
                )
    for path in folder.rglob("MLmodel"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(FORMER_FOLDER, str(folder)), encoding="utf-8")


@pytest.fixture
def client(deployment: Path) -> mlflow.MlflowClient:
    uri = f"sqlite:///{deployment / 'hotlead-out' / 'mlflow.db'}"
    return mlflow.MlflowClient(uri, uri)


@pytest.fixture
def app(deployment: Path) -> Iterator[App]:
    service = App(deployment / "crm.toml", deployment / "hotlead-out")
    try:
        yield service
    finally:
        service.close()


def test_the_registered_champion_predicts_the_same(deployment: Path) -> None:
    expected = json.loads((DATA / "deployment-before-expected.json").read_text(encoding="utf-8"))
    rows = pd.DataFrame(expected["rows"])
    with mlflow_store(deployment / "hotlead-out"):
        predicted = mlflow.pyfunc.load_model(f"models:/{MODEL_NAME}@{CHAMPION}").predict(rows)
    assert np.allclose(predicted["probability"], expected["predictions"]["probability"], rtol=0, atol=1e-12)


def test_the_model_folder_and_the_bundle_load(deployment: Path) -> None:
    out = deployment / "hotlead-out"
    bundle = load_bundle(out / "bundles")
    assert Model.load(out / "model").version == VERSION
    assert bundle is not None
    assert bundle.model.time_to_win is None
    assert bundle.model.version == VERSION
    assert len(bundle.evidence.won) > 0


def test_the_key_file_authenticates_its_token(deployment: Path) -> None:
    key = KeyCache(deployment / "hotlead-out" / "keys.json").find(TOKEN)
    assert key is not None
    assert (key.role, key.name, key.expires_at) == ("crm", "crm", None)


def test_stored_leads_are_scored_through_the_api(app: App) -> None:
    headers = {"X-API-Key": TOKEN}
    history = app.get("/v1/scores?lead_id=L0399", role=None, headers=headers)
    assert history.status_code == 200, history.text
    assert history.json()["scores"][0]["model_version"] == VERSION
    answer = app.post("/v1/score", {"lead_id": "L0399"}, role=None, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["version"] == VERSION
    assert answer.json()["model"]["days_to_win"] is None
    assert answer.json()["ignored_attributes"] == []
    closed = app.post("/v1/score", {"lead_id": "L0000"}, role=None, headers=headers).json()
    assert closed["closed"]["outcome"] in ("won", "lost")


def test_the_list_of_open_leads_is_scored(deployment: Path) -> None:
    completed = run("score", deployment / "crm.toml", "--to", deployment / "list.csv")
    assert completed.returncode == 0, completed.stderr
    with (deployment / "list.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["lead_id"] for row in rows} == {f"L{i:04d}" for i in range(390, 400)}
    assert {row["model_version"] for row in rows} == {VERSION}


def test_the_model_is_promoted_again(deployment: Path, client: mlflow.MlflowClient) -> None:
    client.delete_registered_model_alias(MODEL_NAME, CHAMPION)
    client.set_registered_model_alias(MODEL_NAME, CHALLENGER, "1")
    completed = run("promote", deployment / "crm.toml", "--override", "few deals", "--by", "tests")
    assert completed.returncode == 0, completed.stderr
    assert str(client.get_model_version_by_alias(MODEL_NAME, CHAMPION).version) == "1"
