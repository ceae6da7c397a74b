"""One lead, one score: in the list, by id, with the lead in the body, in a batch, and on the pages."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.support.served import start_service
from demo.run import make_demo
from features.clock import now_ms
from features.crm.extra_columns import read_extra_columns
from features.crm.propose import propose
from features.settings import parse_settings
from serving.jobs.crm_records import CrmExport
from serving.jobs.store_export import store_export
from serving.settings import ServiceSettings
from serving.store.store import Store
from serving.web import api_keys as keys
from tests.end_to_end.test_real_data import DATA, EXAMPLES, ROOT
from tests.helpers.exports import standard
from tests.helpers.exports.crms import Table, write_tables
from tests.helpers.exports.mixed_crm import write_mixed_crm
from tests.helpers.same_scores import (
    ExportedLeads,
    ScoreDifference,
    compare_everywhere,
    find_feature_differences,
    find_score_differences,
    list_scores,
    read_scores,
)
from tests.helpers.small_crm import replace_text, run


@contextmanager
def stored(folder: Path, *exports: Path) -> Iterator[Store]:
    """A store that holds some exports, imported one after the other."""
    store = Store.open(f"sqlite:///{folder / 'store.db'}", folder / "spool")
    try:
        for crm_toml in exports:
            loaded = ExportedLeads.read(crm_toml, 0).loaded
            export = CrmExport(loaded.crm, **asdict(read_extra_columns(loaded)))
            store_export(store, export, loaded.settings)
        yield store
    finally:
        store.close()


def find_differences(folder: Path, *exports: Path) -> list[ScoreDifference]:
    """The differences of all open leads of the last of some exports, after all were imported."""
    with stored(folder, *exports) as store:
        leads = ExportedLeads.read(exports[-1], now_ms())
        is_open = ~leads.loaded.crm.outcomes.closed
        return find_feature_differences(leads, store, [str(i) for i in leads.loaded.crm.lead_ids[is_open]])


def init(folder: Path, *names: str) -> Path:
    """The crm.toml that init writes about some files."""
    crm_toml = folder / "crm.toml"
    crm_toml.write_text(propose(list(names), folder).text, encoding="utf-8")
    parse_settings(tomllib.loads(crm_toml.read_text(encoding="utf-8")), crm_toml)
    return crm_toml


@pytest.mark.parametrize(
    "table",
    [
        standard.SALESFORCE_LEADS_JA,
        standard.KINTONE,
        *(
            pytest.param(t, marks=pytest.mark.slow)
            for t in (standard.PIPEDRIVE, standard.DYNAMICS, standard.ODOO)
        ),
    ],
    ids=lambda table: table[0],
)
def test_a_lead_of_a_standard_export_has_the_same_features_everywhere(table: Table, tmp_path: Path) -> None:
    crm_toml = init(tmp_path, *write_tables(tmp_path, [table]))
    assert not find_differences(tmp_path, crm_toml)


def test_a_lead_with_everything_has_the_same_features_everywhere(tmp_path: Path) -> None:
    crm_toml = write_mixed_crm(tmp_path)
    leads = ExportedLeads.read(crm_toml, now_ms())
    values = leads.values([*leads.row_of])
    empty = (None, 0.0)
    for feature in leads.settings.features:
        filled = [v[feature] for v in values if v[feature] not in empty and v[feature] == v[feature]]
        assert filled, f"no lead has {feature}"
    assert not find_differences(tmp_path, crm_toml)


def test_values_of_an_undated_parquet_file_are_the_same_everywhere(tmp_path: Path) -> None:
    """Booleans, whole numbers that became floats because some are missing, decimals, texts of numbers."""
    rng, rows = np.random.default_rng(0), 200
    columns = {
        "outcome": rng.choice(["won", "lost", "open"], rows).tolist(),
        "Newsletter": pa.array(rng.choice([True, False], rows).tolist()),
        "rooms": pa.array([float(n) if n else None for n in rng.integers(0, 4, rows)]),
        "size": pa.array(rng.integers(1, 900, rows).tolist(), pa.decimal128(10, 2)),
        "code": rng.choice(["1", "1.0", "01", "１", "", "n/a"], rows).tolist(),
    }
    pq.write_table(pa.table({"id": list(range(rows)), **columns}), tmp_path / "leads.parquet")
    (tmp_path / "crm.toml").write_text(
        """
[leads]
source = "leads.parquet"
id = "id"
[deals]
outcome = "outcome"
won = ["won"]
lost = ["lost"]
ignore = ["open"]
[features]
newsletter = { kind = "attribute", column = "Newsletter" }
rooms = { kind = "attribute", column = "rooms", known = "at_creation" }
rooms_count = { kind = "attribute", column = "size", values = "number" }
code = { kind = "attribute", column = "code" }
""",
        encoding="utf-8",
    )
    assert not find_differences(tmp_path, tmp_path / "crm.toml")


def _empty_values(text: str) -> str:
    return text.replace(",TRUE,", ",,").replace("展示会", "").replace("pro", "basic")


@pytest.mark.parametrize("change", [_empty_values, lambda text: text.replace(",A,", ",B,")])
def test_a_later_export_corrects_what_an_earlier_one_said(
    change: Callable[[str], str], tmp_path: Path
) -> None:
    before = write_mixed_crm(tmp_path / "before")
    after = Path(shutil.copytree(before.parent, tmp_path / "after")) / "crm.toml"
    leads = after.with_name("leads.csv")
    leads.write_text(change(leads.read_text("utf-8")), encoding="utf-8")
    assert leads.read_text("utf-8") != before.with_name("leads.csv").read_text("utf-8")
    assert not find_differences(tmp_path, before, after)
    assert not find_differences(tmp_path / "back", before, after, before)


def test_a_difference_names_the_lead_and_the_feature(tmp_path: Path) -> None:
    crm_toml = write_mixed_crm(tmp_path)
    with stored(tmp_path, crm_toml) as store:
        replace_text(crm_toml.with_name("leads.csv"), ",A,", ",other,")
        leads = ExportedLeads.read(crm_toml, now_ms())
        differences = find_feature_differences(leads, store, [*leads.row_of])
    assert {d.feature for d in differences if d.place == "store"} == {"owner"}
    assert any("feature 'owner': 'A' instead of 'other'" in str(difference) for difference in differences)


def train_and_import(crm_toml: Path, **environ: str) -> None:
    """A champion and its store."""
    for command in (("train",), ("promote", "--override", "for a test"), ("import",)):
        completed = run(*command, crm_toml, env=environ)
        assert completed.returncode == 0, completed.stderr


@pytest.fixture(scope="module")
def mixed_crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    crm_toml = write_mixed_crm(tmp_path_factory.mktemp("mixed"), leads=600)
    train_and_import(crm_toml)
    return crm_toml


@pytest.mark.slow
def test_a_lead_with_everything_has_one_score_everywhere(mixed_crm: Path) -> None:
    assert not compare_everywhere(mixed_crm)


@pytest.mark.slow
def test_a_running_service_gives_the_scores_of_the_list(mixed_crm: Path) -> None:
    moment = now_ms() - 1_000
    listed, leads = list_scores(mixed_crm, moment), ExportedLeads.read(mixed_crm, moment)
    as_of = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    params = {"as_of": as_of, "explain": "none"}
    settings = ServiceSettings.from_environment({"HOTLEAD_CRM": str(mixed_crm)})
    headers = {"X-API-Key": keys.add(settings.keys_file, "crm", "crm")[1]}
    with (
        start_service(mixed_crm, environ={"HOTLEAD_RATE_LIMIT": "0"}) as service,
        httpx.Client(base_url=service.url, params=params, headers=headers, timeout=60) as client,
    ):

        def post(path: str, body: Any) -> Any:
            answer = client.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        for place, scores in read_scores(post, leads, sorted(listed)):
            assert not find_score_differences(listed, place, scores)


@pytest.mark.slow
def test_a_thousand_leads_of_the_demo_have_one_score_everywhere(tmp_path: Path) -> None:
    crm_toml = make_demo(tmp_path, 3_000, 7, datetime.now(UTC).date())
    train_and_import(crm_toml)
    assert not compare_everywhere(crm_toml)


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no public data in {DATA} (set HOTLEAD_DATA)")
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_thousand_leads_of_a_public_data_set_have_one_score_everywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTLEAD_DATA", str(DATA))
    crm_toml = Path(shutil.copytree(ROOT / "examples" / name, tmp_path / name)) / "crm.toml"
    train_and_import(crm_toml)
    assert not compare_everywhere(crm_toml)
