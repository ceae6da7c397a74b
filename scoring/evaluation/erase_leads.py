"""Erasing leads from evidence tables, bundles and report pages.

Their rows stay under random names that lead to no person, so that no figure changes.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import DataError, OutsideError
from features.files import atomic_file, write_error
from features.messages import as_message
from scoring.model.bundle import check_bundle, current_name, rewrite_evidence
from scoring.model.model import EVIDENCE_FILE
from scoring.model.pseudonyms import Pseudonyms, former_pseudonym, read_key_id

_PAGES = frozenset({".html", ".json"})
_LEAD = "lead"
_NAME = re.compile(rb"(?=([0-9a-f]{16}))")


@dataclass
class ErasureReport:
    """The renamed rows by evidence table, the changed pages, the removed old bundles, and the leads that
    were in one of them.

    Tables in `unreadable` may still hold a lead, and those in `other_key` too: their pseudonyms have
    another key than this installation.
    """

    tables: dict[Path, int] = field(default_factory=dict)
    pages: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)
    other_key: list[Path] = field(default_factory=list)
    leads: set[str] = field(default_factory=set)


def erase_leads(
    folders: Iterable[Path], bundles: Path, lead_ids: Iterable[str], pseudonyms: Pseudonyms
) -> ErasureReport:
    """Give leads other names in all evidence tables and pages below `folders`, and in the bundles.

    A lead's name is the same everywhere, as models are compared on shared leads. Raises OutsideError if a
    file cannot be written; calling it again completes the work.
    """
    erasure = _Erasure(bundles, lead_ids, pseudonyms)
    for folder in folders:
        for path in _list_files(folder, bundles):
            if path.name == EVIDENCE_FILE:
                erasure.erase_in_table(path)
            elif path.suffix in _PAGES:
                erasure.erase_in_page(path)
    # Bundles come last, as the follower makes them from the folders.
    erasure.erase_in_bundles()
    return erasure.report


def _list_files(folder: Path, excluded: Path) -> Iterator[Path]:
    """The files below a folder without those of the bundles, which have checksums."""
    for path in sorted(folder.rglob("*")):
        if not path.is_relative_to(excluded) and path.is_file() and not path.is_symlink():
            yield path


class _Erasure:
    """Old and new names of some leads, by the key of the pseudonyms."""

    def __init__(self, bundles: Path, lead_ids: Iterable[str], pseudonyms: Pseudonyms) -> None:
        self._bundles, self.report = bundles, ErasureReport()
        self._names: dict[str, dict[str, str]] = {"": {}, pseudonyms.key_id: {}}
        self._lead_of: dict[str, str] = {}
        for lead_id in lead_ids:
            former, new = former_pseudonym(lead_id), secrets.token_hex(8)
            self._names[""][former] = new
            # A table of an earlier version has the same lead after Evidence.with_pseudonyms.
            self._names[pseudonyms.key_id][pseudonyms.derive(lead_id)] = pseudonyms.derive_from_former(new)
            self._lead_of[former] = self._lead_of[pseudonyms.derive(lead_id)] = lead_id

    def erase_in_table(self, path: Path) -> None:
        try:
            if rows := self._count_rows(path):
                self._rename(path)
                self.report.tables[path] = rows
        except DataError:
            self.report.unreadable.append(path)

    def erase_in_page(self, path: Path) -> None:
        """Replace the names in a page; old and new ones are equally long."""
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise OutsideError(
                "{path}: cannot be read ({reason}).", path=path, reason=as_message(str(problem.strerror))
            ) from None
        texts = {match[1].decode() for match in _NAME.finditer(content)}
        pairs = [(old, new) for names in self._names.values() for old, new in names.items() if old in texts]
        if not pairs:
            return
        for old, new in pairs:
            content = content.replace(old.encode(), new.encode())
        with atomic_file(path) as part:
            part.write_bytes(content)
        self.report.pages.append(path)

    def erase_in_bundles(self) -> None:
        """Rewrite the bundle in use; remove other bundles that hold one of the leads."""
        for path in sorted(self._bundles.glob(f"*/{EVIDENCE_FILE}")):
            if path.parent.name == current_name(self._bundles):
                self._erase_in_current_bundle(path)
            elif self._may_hold_leads(path):
                _remove(path.parent)
                self.report.removed.append(path.parent)

    def _erase_in_current_bundle(self, path: Path) -> None:
        rows = 0
        with suppress(DataError):
            rows = self._count_rows(path)
            check_bundle(path.parent)
            if rows:
                rewrite_evidence(self._bundles, self._rename)
                self.report.tables[path] = rows
                _remove(path.parent)
            return
        # A damaged bundle is not served: it stays damaged, without the leads.
        self.erase_in_table(path)

    def _may_hold_leads(self, path: Path) -> bool:
        try:
            return self._count_rows(path) > 0
        except DataError:
            return True

    def _count_rows(self, path: Path) -> int:
        """The number of rows of the leads, which are noted. Raises DataError for an unreadable table."""
        try:
            table = pq.read_table(path, columns=[_LEAD])
            names = self._names.get(read_key_id(table.schema))
            column = table[_LEAD]
        except (pa.ArrowException, OSError, KeyError) as problem:
            raise DataError(
                "{path}: is no whole evidence table ({problem}).", path=path, problem=problem
            ) from None
        if names is None:
            if path not in self.report.other_key:
                self.report.other_key.append(path)
            return 0
        present = [name for name in column.to_pylist() if name in names]
        self.report.leads |= {self._lead_of[name] for name in present}
        return len(present)

    def _rename(self, path: Path) -> None:
        table = pq.read_table(path)
        names = self._names[read_key_id(table.schema)]
        renamed = pa.array([names.get(name, name) for name in table[_LEAD].to_pylist()], pa.string())
        place = table.column_names.index(_LEAD)
        with atomic_file(path) as part:
            pq.write_table(
                table.set_column(place, table.schema.field(_LEAD), renamed), part, compression="zstd"
            )


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as problem:
        raise write_error(folder, problem) from None
