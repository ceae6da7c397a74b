"""The notebooks, run from the first to the last in a folder of their own.

HOTLEAD_NOTEBOOKS=1 (`make notebooks`) writes what they show into them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
BOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_MOST_BYTES = 1_000_000


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each notebook after it ran; a cell that fails raises, with its traceback."""
    folder = tmp_path_factory.mktemp("notebooks")
    previous_environment = {
        "PYTHONPATH": os.environ.get("PYTHONPATH"),
        "PLOTLY_RENDERER": os.environ.get("PLOTLY_RENDERER"),
    }
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
    try:
        return {name: _run(name, folder) for name in BOOKS}
    finally:
        for name, value in previous_environment.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _run(name: str, folder: Path) -> Any:
    book = nbformat.read(FOLDER / name, 4)
    NotebookClient(
        book,
        timeout=300,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    book.metadata = nbformat.from_dict(KERNEL)
    if os.environ.get("HOTLEAD_NOTEBOOKS"):
        nbformat.write(book, FOLDER / name)
    return book


def _kinds(book: Any) -> list[list[str]]:
    return [[out.output_type for out in cell.get("outputs", [])] for cell in book.cells]


def test_there_are_three() -> None:
    assert BOOKS == [
        "01_look_at_closed_deals.ipynb",
        "02_train_and_compare.ipynb",
        "03_review_disagreements.ipynb",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_runs_and_shows_what_is_kept_in_it(name: str, shown: dict[str, Any]) -> None:
    notebook = nbformat.read(FOLDER / name, 4)
    assert _kinds(shown[name]) == _kinds(notebook), "`make notebooks` writes the outputs anew"


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_says_nothing_on_stderr(name: str, shown: dict[str, Any]) -> None:
    outputs = [out for cell in shown[name].cells for out in cell.get("outputs", [])]
    assert not [out.text for out in outputs if out.get("name") == "stderr"]


@pytest.mark.parametrize("name", BOOKS)
def test_what_is_kept_is_light_and_of_no_machine(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert len(text) < _MOST_BYTES
    assert "plotly.min.js" not in text
    assert not [place for place in (str(ROOT), "/tmp/", "/home/") if place in text]
    assert notebook["metadata"] == KERNEL
    assert all("execution" not in cell["metadata"] for cell in notebook["cells"])


@pytest.mark.parametrize("name", BOOKS)
def test_every_section_has_a_line_in_japanese(name: str) -> None:
    texts = [c.source for c in nbformat.read(FOLDER / name, 4).cells if c.cell_type == "markdown"]
    assert texts
    assert all(any("぀" <= letter <= "鿿" for letter in text) for text in texts)
