"""The notebooks run from the first to the last in a temporary folder.

HOTLEAD_NOTEBOOKS=1 (`make notebooks`) writes their outputs into them.
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
_MAX_BYTES = 1_000_000


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each notebook with its outputs; a failing cell raises with its traceback."""
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


def _output_types(book: Any) -> list[list[str]]:
    return [[out.output_type for out in cell.get("outputs", [])] for cell in book.cells]


def test_the_folder_holds_three_notebooks() -> None:
    assert BOOKS == [
        "01_look_at_closed_deals.ipynb",
        "02_train_and_compare.ipynb",
        "03_review_disagreements.ipynb",
    ]


@pytest.mark.notebook
@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_runs_with_the_stored_types_of_output(name: str, executed: dict[str, Any]) -> None:
    notebook = nbformat.read(FOLDER / name, 4)
    assert _output_types(executed[name]) == _output_types(notebook), "`make notebooks` updates the outputs"


@pytest.mark.notebook
@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_prints_nothing_to_stderr(name: str, executed: dict[str, Any]) -> None:
    outputs = [out for cell in executed[name].cells for out in cell.get("outputs", [])]
    assert not [out.text for out in outputs if out.get("name") == "stderr"]


@pytest.mark.parametrize("name", BOOKS)
def test_stored_notebooks_are_small_and_contain_no_local_paths(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert len(text) < _MAX_BYTES
    assert "plotly.min.js" not in text
    assert not [place for place in (str(ROOT), "/tmp/", "/home/") if place in text]
    assert notebook["metadata"] == KERNEL
    assert all("execution" not in cell["metadata"] for cell in notebook["cells"])


@pytest.mark.parametrize("name", BOOKS)
def test_every_section_has_japanese_text(name: str) -> None:
    texts = [c.source for c in nbformat.read(FOLDER / name, 4).cells if c.cell_type == "markdown"]
    assert texts
    assert all(any("぀" <= letter <= "鿿" for letter in text) for text in texts)
