from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from training.registry import model_wheel
from training.registry.model_wheel import PARTS, build_wheel, pin_libraries

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", *PARTS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in tracked if (ROOT / name).exists()} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", "docs"))]


def test_packages_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    assert sorted(name.lstrip("/") for name in included) == sorted(PARTS)


def test_record_has_the_hash_and_size_of_every_file(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [record] = [name for name in archive.namelist() if name.endswith("RECORD")]
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(archive.read(record).decode()))}
    assert set(rows) == set(archive.namelist())
    for name, (digest, size) in rows.items():
        content = archive.read(name)
        encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert name == record or (digest, size) == (f"sha256={encoded}", str(len(content)))


def test_equal_code_makes_equal_wheels(wheel: Path, tmp_path: Path) -> None:
    second = build_wheel(tmp_path)
    assert second.name == wheel.name
    assert second.read_bytes() == wheel.read_bytes()


def test_other_code_makes_another_version(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without packages that a deployment leaves out."""
    shutil.copytree(ROOT / "scoring", tmp_path / "code" / "scoring")
    monkeypatch.setattr(model_wheel, "_ROOT", tmp_path / "code")
    one = build_wheel(tmp_path)
    (tmp_path / "code" / "scoring" / "more.py").write_text("", encoding="utf-8")
    names = {wheel.name, one.name, build_wheel(tmp_path).name}
    assert len(names) == 3
    assert "serving/__init__.py" not in zipfile.ZipFile(one).namelist()


def test_libraries_are_pinned_and_few() -> None:
    pins = pin_libraries()
    assert all(pin.count("==") == 1 for pin in pins)
    assert not {"bentoml", "optuna", "plotly", "scikit-learn"} & {pin.partition("==")[0] for pin in pins}
