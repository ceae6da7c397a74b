"""The wheel of Hotlead that is stored with a model, so that the model loads where Hotlead is not installed.

It holds the code that runs now, from a checkout or an installation alike: each model is loaded by the code
that trained it. Its dependencies are those of a prediction, not those of training and serving.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTION = "hotlead"
PARTS = ("cli", "demo", "features", "hotlead", "scoring", "serving", "training")
"""The packages of the wheel, as in pyproject.toml."""

PREDICTION_LIBRARIES = ("holidays", "lightgbm", "numpy", "pandas", "pydantic")
"""What a prediction imports; MLflow adds itself to the requirements of a model."""

_ROOT = Path(__file__).parents[2]
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip: equal code makes equal wheels


def build_wheel(folder: Path) -> Path:
    """Write the wheel into `folder` and return its path; its version ends with a digest of the code."""
    code = dict(_read_code())
    number = f"{_project_version()}+{_digest(code)}"
    info = f"{DISTRIBUTION}-{number}.dist-info"
    files = code | {f"{info}/{name}": text.encode() for name, text in _metadata(number).items()}
    path = folder / f"{DISTRIBUTION}-{number}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (files | {f"{info}/RECORD": _record(files, info)}).items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path


def pin_libraries() -> list[str]:
    """The libraries of a prediction at the versions that are installed, as requirements."""
    return [f"{name}=={version(name)}" for name in PREDICTION_LIBRARIES]


def _read_code() -> Iterator[tuple[str, bytes]]:
    """Every file of the packages by its path in the wheel; a package that is not installed is left out."""
    for part in PARTS:
        for path in sorted((_ROOT / part).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(_ROOT).as_posix(), path.read_bytes()


def _project_version() -> str:
    try:
        return version(DISTRIBUTION).partition("+")[0]
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


def _digest(code: Mapping[str, bytes]) -> str:
    hasher = hashlib.sha256()
    for name, content in code.items():
        hasher.update(f"{name}\0{len(content)}\0".encode() + content)
    return hasher.hexdigest()[:10]


def _metadata(number: str) -> dict[str, str]:
    """The files of the dist-info folder, without RECORD."""
    requirements = "".join(f"Requires-Dist: {name}\n" for name in PREDICTION_LIBRARIES)
    return {
        "METADATA": f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {number}\n{requirements}",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: hotlead\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": "[console_scripts]\nhotlead = cli:main\n",
    }


def _record(files: Mapping[str, bytes], info: str) -> bytes:
    """The list of all files with their hashes and sizes."""
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},"
        f"{len(content)}"
        for name, content in files.items()
    ]
    return "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
