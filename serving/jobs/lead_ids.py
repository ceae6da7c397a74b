"""Lists of lead ids: read from a file, and looked for in files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from features.errors import DataError, OutsideError, SettingsError
from features.messages import as_message
from serving.store.queries import in_chunks

COLUMN = "lead_id"
MAX_ID_LENGTH, MAX_BYTES = 200, 256 * 2**20
_ENCODINGS = ("utf-8-sig", "cp932")
_DELIMITERS = (",", ";", "\t")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_WORD = re.compile(r"[\w-]+")


def read_lead_ids(path: Path, column: str | None = None, crm_column: str = COLUMN) -> list[str]:
    """The different ids in a CSV file or in a text of one id a line, in their order.

    They are in the column `column`, else in the one named lead_id or as in the CRM, else in the first one.
    Raises OutsideError for a file that cannot be read, and DataError for one that is no list of ids.
    """
    rows = _read_rows(path)
    names = next(rows, [])
    place = _find_column(path, names, column, crm_column)
    if place is None:
        place, rows = 0, iter([names, *rows])
    ids = dict.fromkeys(row[place].strip() for row in rows if len(row) > place)
    ids.pop("", None)
    if not ids:
        raise DataError("{path}: there are no ids of leads in it.", path=path)
    for lead_id in ids:
        if len(lead_id) > MAX_ID_LENGTH or _CONTROL.search(lead_id):
            raise DataError(
                "{path}: {value!r} is no id of a lead (at most {most} characters, without control "
                "characters). Write one id a line, or name the column with --column.",
                path=path,
                value=lead_id[:40],
                most=MAX_ID_LENGTH,
            )
    return list(ids)


def _find_column(path: Path, names: Sequence[str], column: str | None, crm_column: str) -> int | None:
    """The place of the column of ids; None if the first line has no names."""
    titles = [name.strip() for name in names]
    for wanted in [column] if column else [COLUMN, crm_column]:
        if wanted in titles:
            return titles.index(wanted)
    if column is not None:
        raise SettingsError(
            "{path}: there is no column {column!r}; it has {names}.", path=path, column=column, names=titles
        )
    return None


def _read_rows(path: Path) -> Iterator[list[str]]:
    text = _read_text(path)
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error:
        raise _no_text_error(path) from None


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _no_text_error(path)
        content = path.read_bytes()
    except OSError as problem:
        raise OutsideError(
            "{path}: cannot be read ({reason}).", path=path, reason=as_message(str(problem.strerror))
        ) from None
    for encoding in _ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise _no_text_error(path)


def _no_text_error(path: Path) -> DataError:
    return DataError("{path}: is no CSV file and no text of one id a line, in UTF-8 or Shift_JIS.", path=path)


def find_files_with_ids(paths: Iterable[Path], lead_ids: Sequence[str]) -> list[Path]:
    """The files that contain one of the ids, not only as a part of another id."""
    patterns: dict[str, list[str]] = {}
    for lead_id in lead_ids:
        word = _WORD.search(lead_id)
        patterns.setdefault(word[0] if word else "", []).append(re.escape(lead_id))
    return [path for path in paths if _contains_ids(path, patterns)]


def _contains_ids(path: Path, patterns: dict[str, list[str]]) -> bool:
    """Whether a file contains an id: only those are tried whose first word is in the line."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return any(
                re.search(rf"(?<![\w-])(?:{'|'.join(few)})(?![\w-])", line)
                for line in file
                for word in {*_WORD.findall(line), ""} & patterns.keys()
                for few in in_chunks(patterns[word], 100)
            )
    except OSError:
        return True
