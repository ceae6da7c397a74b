"""The versions in MLflow's SQLite file, read and changed without MLflow: MLflow sees the same."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import pytest

from features.errors import OutsideError
from training.registry.mlflow_store import MODEL_NAME, mlflow_store, open_versions
from training.registry.sqlite_versions import SqliteVersions, is_readable


@pytest.fixture
def out(empty_store: Path, tmp_path: Path) -> Path:
    """A store with two versions, the first of which has an alias and a tag."""
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    with mlflow_store(tmp_path):
        client = mlflow.MlflowClient()
        client.create_registered_model(MODEL_NAME)
        for number in (1, 2):
            source = (tmp_path / "mlartifacts" / f"of {number}").as_uri()
            client.create_model_version(MODEL_NAME, source, run_id=None)
        client.set_registered_model_alias(MODEL_NAME, "champion", "1")
        client.set_model_version_tag(MODEL_NAME, "1", "hotlead.version", "abc")
    return tmp_path


def change_tables(out: Path, *statements: str) -> None:
    with closing(sqlite3.connect(out / "mlflow.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_what_mlflow_wrote_is_read(out: Path) -> None:
    with open_versions(out) as versions:
        assert isinstance(versions, SqliteVersions)
        version = versions.find("champion")
        assert version is not None
        assert (version.version, version.tags) == ("1", {"hotlead.version": "abc"})
        assert version.folder == out / "mlartifacts" / "of 1"
        assert versions.find("challenger") is None
        assert versions.read_tags("1") == {"hotlead.version": "abc"}
        assert versions.read_tags("7") == {}


def test_mlflow_reads_what_was_changed(out: Path) -> None:
    with open_versions(out) as versions:
        versions.change("2", {"hotlead.why": "候補 'quoted'"}, {"previous": "1", "champion": "2"})
        versions.change("2", {"hotlead.why": "again"}, {"previous": None})
    with mlflow_store(out):
        client = mlflow.MlflowClient()
        assert client.get_registered_model(MODEL_NAME).aliases == {"champion": 2}
        assert client.get_model_version(MODEL_NAME, "2").tags == {"hotlead.why": "again"}
        client.set_registered_model_alias(MODEL_NAME, "champion", "1")
        client.set_model_version_tag(MODEL_NAME, "2", "hotlead.why", "by MLflow")
    with open_versions(out) as versions:
        version = versions.find("champion")
        assert version is not None
        assert version.version == "1"
        assert versions.read_tags("2") == {"hotlead.why": "by MLflow"}


def test_a_change_is_made_as_a_whole_or_not_at_all(out: Path) -> None:
    with open_versions(out) as versions:
        with pytest.raises(OutsideError, match="longer than"):
            versions.change("1", {"hotlead.a": "first", "hotlead.b": "x" * 100_001}, {"champion": "2"})
        assert versions.read_tags("1") == {"hotlead.version": "abc"}
        version = versions.find("champion")
        assert version is not None
        assert version.version == "1"


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE registered_model_aliases ADD COLUMN tenant TEXT",
        "ALTER TABLE model_versions RENAME COLUMN storage_location TO place",
        "DROP TABLE model_version_tags",
        f"INSERT INTO registered_models (name, workspace) VALUES ('{MODEL_NAME}', 'another')",
    ],
)
def test_tables_that_are_not_as_known_are_left_to_mlflow(out: Path, statement: str) -> None:
    assert is_readable(out / "mlflow.db", MODEL_NAME)
    change_tables(out, statement)
    assert not is_readable(out / "mlflow.db", MODEL_NAME)


def test_a_damaged_file_is_named(out: Path) -> None:
    (out / "mlflow.db").write_bytes(b"no database" * 1_000)
    with pytest.raises(OutsideError, match=r"mlflow\.db"), open_versions(out):
        pass


def test_a_promotion_does_not_load_mlflow(out: Path) -> None:
    """MLflow takes longer to start than all the rest."""
    code = (
        "import sys; from pathlib import Path; from training.registry.promotion import promote, rollback\n"
        "from training.registry.mlflow_store import find_versions\n"
        f"find_versions(Path({str(out)!r}), ('champion',))\n"
        "sys.exit('mlflow' in sys.modules or 'pandas' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
