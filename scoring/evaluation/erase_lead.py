"""Erasing a lead from evidence tables, bundles and report pages.

Its rows stay under a random name that leads to no person, so that no figure changes.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import DataError, OutsideError
from features.files import atomic_file, write_error
from features.messages import as_message
from scoring.model.bundle import check_bundle, current_name, rewrite_evidence
from scoring.model.evidence import pseudonym
from scoring.model.model import EVIDENCE_FILE

_PAGES = frozenset({".html", ".json"})
_LEAD = "lead"


@dataclass
class ErasureReport:
    """The renamed rows by evidence table, the changed pages, and the removed old bundles.

    Tables in `unreadable` may still hold the lead.
    """

    tables: dict[Path, int] = field(default_factory=dict)
    pages: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)


def erase_lead(folders: Iterable[Path], bundles: Path, lead_id: str) -> ErasureReport:
    """Give a lead another name in all evidence tables and pages below `folders`, and in the bundles.

    The name is the same everywhere, as models are compared on shared leads. Raises OutsideError if a file
    cannot be written; calling it again completes the work.
    """
    old, new = pseudonym(lead_id), secrets.token_hex(8)
    report = ErasureReport()
    for folder in folders:
        for path in _list_files(folder, bundles):
            if path.name == EVIDENCE_FILE:
                _erase_in_table(path, old, new, report)
            elif path.suffix in _PAGES and _erase_in_page(path, old, new):
                report.pages.append(path)
    # Bundles come last, as the follower makes them from the folders.
    _erase_in_bundles(bundles, old, new, report)
    return report


def _list_files(folder: Path, excluded: Path) -> Iterator[Path]:
    """The files below a folder without those of the bundles, which have checksums."""
    for path in sorted(folder.rglob("*")):
        if not path.is_relative_to(excluded) and path.is_file() and not path.is_symlink():
            yield path


def _erase_in_table(path: Path, old: str, new: str, report: ErasureReport) -> None:
    try:
        rows = _count_rows(path, old)
        if rows:
            _rename(path, old, new)
            report.tables[path] = rows
    except DataError:
        report.unreadable.append(path)


def _count_rows(path: Path, name: str) -> int:
    """The number of rows of a lead. Raises DataError for an unreadable table."""
    try:
        column = pq.read_table(path, columns=[_LEAD])[_LEAD]
        return int(pc.sum(pc.equal(column, name)).as_py() or 0)
    except (pa.ArrowException, OSError, KeyError) as problem:
        raise DataError(
            "{path}: is no whole evidence table ({problem}).", path=path, problem=problem
        ) from None


def _rename(path: Path, old: str, new: str) -> None:
    table = pq.read_table(path)
    column = pc.if_else(pc.equal(table[_LEAD], old), new, table[_LEAD])
    place = table.column_names.index(_LEAD)
    with atomic_file(path) as part:
        pq.write_table(table.set_column(place, table.schema.field(_LEAD), column), part, compression="zstd")


def _erase_in_page(path: Path, old: str, new: str) -> bool:
    """Replace the name in a page; both names are equally long. Returns whether the page held it."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise OutsideError(
            "{path}: cannot be read ({reason}).", path=path, reason=as_message(str(problem.strerror))
        ) from None
    if old.encode() not in content:
        return False
    with atomic_file(path) as part:
        part.write_bytes(content.replace(old.encode(), new.encode()))
    return True


def _erase_in_bundles(root: Path, old: str, new: str, report: ErasureReport) -> None:
    """Rewrite the bundle in use; remove other bundles that hold the lead."""
    for path in sorted(root.glob(f"*/{EVIDENCE_FILE}")):
        current = current_name(root)
        if path.parent.name == current:
            _erase_in_current_bundle(root, path, old, new, report)
        elif _may_hold(path, old):
            _remove(path.parent)
            report.removed.append(path.parent)


def _erase_in_current_bundle(root: Path, path: Path, old: str, new: str, report: ErasureReport) -> None:
    rows = 0
    with suppress(DataError):
        rows = _count_rows(path, old)
        check_bundle(path.parent)
        if rows:
            rewrite_evidence(root, lambda part: _rename(part, old, new))
            report.tables[path] = rows
            _remove(path.parent)
        return
    # A damaged bundle is not served: it stays damaged, without the lead.
    _erase_in_table(path, old, new, report)


def _may_hold(path: Path, old: str) -> bool:
    try:
        return _count_rows(path, old) > 0
    except DataError:
        return True


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as problem:
        raise write_error(folder, problem) from None
