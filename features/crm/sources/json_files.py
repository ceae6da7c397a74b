"""Reading JSON as the APIs of CRMs return it, one object a line, or a list of objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson

from features.crm.sources.csv_files import encoding_error, python_encoding
from features.crm.sources.files import TableFile
from features.crm.sources.nested import describe_left_out, flatten_records
from features.crm.sources.refusals import wide_encoding
from features.crm.sources.rows import SourceRows, check_columns, joint_name, starts_of
from features.crm.table_settings import Source
from features.errors import DataError
from features.messages import Message

JsonObject = dict[str, object]
_MAX_DEPTH = 4
_NEXT_PAGE = (
    ("paging", "next"),
    ("nextRecordsUrl",),
    ("@odata.nextLink",),
    ("next_page",),
    ("hasMore",),
    ("has_more",),
    ("offset",),
    ("info", "more_records"),
    ("additional_data", "pagination", "more_items_in_collection"),
    ("links", "next"),
    ("next",),
    ("nextPageToken",),
)


def read_json(files: Sequence[TableFile], source: Source, columns: Sequence[str] | None) -> SourceRows:
    """Read all or some columns of JSON files as one flat table; records need not have the same fields.

    Raises DataError if a file holds no list of objects, or several; SettingsError for a missing column.
    """
    parts = [_read_records(file, source) for file in files]
    records = [record for records, _ in parts for record in records]
    table, left_out = flatten_records(records)
    name = joint_name([file.path for file in files])
    check_columns(columns, table.column_names, str(files[0].path))
    notes = dict.fromkeys(note for _, notes in parts for note in notes)
    return SourceRows(
        name,
        table.select(list(columns)) if columns is not None else table,
        np.arange(1, len(records) + 1),
        len(records),
        files=tuple(file.path.name for file in files),
        starts=starts_of([len(records) for records, _ in parts]),
        notes=(*(notes if all(further for _, further in parts) else ()), *describe_left_out(name, left_out)),
    )


def find_record_keys(file: TableFile, source: Source) -> list[str]:
    """The keys of the lists of records in a document; none for a file of lines."""
    content = _decode(file, source)
    if _read_lines(file.path, content):
        return []
    return list(_long_lists(_parse(file.path, content)))


def _read_records(file: TableFile, source: Source) -> tuple[list[JsonObject], tuple[Message, ...]]:
    """The records of a file, and sentences about what it does not hold."""
    content = _decode(file, source)
    records, notes = _read_lines(file.path, content) or _read_document(file.path, content, source)
    if not records:
        raise DataError("{path}: holds no record; a list of objects is needed.", path=file.path)
    return records, notes


def _decode(file: TableFile, source: Source) -> str:
    with file.open() as stream:
        content = stream.read()
    encoding = wide_encoding(content[:4_096]) or python_encoding(file.path, source)
    try:
        return content.decode(encoding).lstrip("\ufeff")
    except UnicodeError:
        raise encoding_error(file, source.encoding) from None


def _read_lines(path: Path, content: str) -> tuple[list[JsonObject], tuple[Message, ...]] | None:
    """The records of a file with one object a line; None if it is one document."""
    lines = [(number, line) for number, line in enumerate(content.split("\n"), start=1) if line.strip()]
    if len(lines) < 2 or not lines[0][1].lstrip().startswith("{") or not _is_json(lines[0][1]):
        return None
    records = []
    for number, line in lines:
        record = _parse(path, line, number)
        if not isinstance(record, dict):
            raise DataError(
                "{path}: line {number:,}: {line!r} is no JSON object, as the lines before.",
                path=path,
                number=number,
                line=line[:40],
            )
        records.append(record)
    return records, ()


def _read_document(path: Path, content: str, source: Source) -> tuple[list[JsonObject], tuple[Message, ...]]:
    document = _parse(path, content)
    if isinstance(document, dict) and source.records:
        lists = dict(_find_lists(source.records, _follow(document, source.records.split(".")), 0))
    else:
        lists = _long_lists(document)
    if len(lists) > 1:
        raise DataError(
            '{path}: holds {count} lists of records ({names}); name one: records = "…".',
            path=path,
            count=len(lists),
            names=[*lists],
        )
    if not lists:
        raise DataError(
            "{path}: holds no list of objects; export the records as CSV or as a JSON list.", path=path
        )
    records = next(iter(lists.values()))
    return records, _describe_pages(path, document, len(records))


def _long_lists(document: object) -> dict[str, list[JsonObject]]:
    """The lists of records by their key; small ones beside a long one, such as its columns, are left out."""
    lists = dict(_find_lists("", document, _MAX_DEPTH))
    longest = max(map(len, lists.values()), default=0)
    return {key: records for key, records in lists.items() if len(records) >= 0.05 * longest}


def _find_lists(key: str, value: object, depth: int) -> Iterator[tuple[str, list[JsonObject]]]:
    """The lists of objects of a document by their key, not those inside records."""
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        yield key, value
    elif isinstance(value, dict) and depth:
        for name, inner in value.items():
            yield from _find_lists(f"{key}.{name}".lstrip("."), inner, depth - 1)


def _follow(document: object, keys: Sequence[str]) -> object:
    """The value at some keys, one inside the other; None if it is missing."""
    for name in keys:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _describe_pages(path: Path, document: object, count: int) -> tuple[Message, ...]:
    """A sentence if the answer of an API names a further page."""
    further = next((".".join(keys) for keys in _NEXT_PAGE if _follow(document, keys)), None)
    if further is None and _follow(document, ["done"]) is not False:
        return ()
    note = Message(
        "{file}: is one page of several ({key}): its {count:,} records are not all. "
        "Fetch the other pages, too, and name a pattern such as page-*.json.",
        file=path.name,
        key=further or "done",
        count=count,
    )
    return (note,)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _parse(path: Path, text: str, line: int | None = None) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        location = path if line is None else Message("{path}, line {line:,}", path=path, line=line)
        raise DataError(
            "{location}: is not JSON ({problem}). Is it whole? Export it again.",
            location=location,
            problem=problem,
        ) from None
