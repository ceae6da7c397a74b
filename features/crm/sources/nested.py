"""Flattening what JSON and Parquet nest: one table with names such as `owner.name`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from features.crm.sources.rows import to_array
from features.messages import Message, abridge

_WRAPPERS = ("properties", "fields")
_SEPARATOR = ";"


def flatten_records(records: Sequence[Mapping[str, object]]) -> tuple[pa.Table, list[str]]:
    """A table of JSON objects, and the columns that are left out because they hold lists of objects.

    The fields of an object inside an object are columns such as `owner.name`; those of `properties`
    (HubSpot) and `fields` (Airtable) keep their names unless the record has them, too. Of
    {"type", "value"} (kintone) the value counts. A list of values is one text such as "a;b", and so is
    a list of references by their ids.
    """
    taken = {name for record in records for name in record}
    columns: dict[str, list[object]] = {}
    left_out: dict[str, None] = {}
    for index, record in enumerate(records):
        for name, content in _fields(record, taken):
            value = _reference_ids(content)
            if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
                left_out.setdefault(name)
            else:
                values = columns.setdefault(name, [])
                values.extend([None] * (index - len(values)))
                if len(values) == index:  # else the record has the name twice, in two of its objects
                    values.append(_to_plain(value))
    for values in columns.values():
        values.extend([None] * (len(records) - len(values)))
    tables = {name: _uniform(values) for name, values in columns.items() if name not in left_out}
    return pa.table(tables), list(left_out)


def flatten_table(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """A Parquet table without nested columns, and the columns that are left out; see `flatten_records`.

    Times of day and durations are texts, and bytes that are UTF-8, as some warehouses write texts.
    """
    left_out: list[str] = []
    columns: dict[str, pa.ChunkedArray] = {}
    for name, column in _unpack_structs(table):
        kind = column.type
        if _is_list(kind):
            if pa.types.is_nested(kind.value_type):
                left_out.append(name)
            else:
                columns[name] = pa.chunked_array([_join_lists(column)])
        elif pa.types.is_nested(kind):
            left_out.append(name)
        elif _is_span(kind):
            columns[name] = pa.chunked_array([[None if v is None else str(v) for v in column.to_pylist()]])
        elif _is_binary(kind):
            columns[name] = _decode_binary(column)
        else:
            columns[name] = column
    return pa.table(columns), left_out


def needs_flattening(schema: pa.Schema) -> bool:
    """Whether a Parquet file has nested columns, times of day, durations or bytes."""
    return any(pa.types.is_nested(kind) or _is_span(kind) or _is_binary(kind) for kind in schema.types)


def describe_left_out(name: str, columns: Sequence[str]) -> tuple[Message, ...]:
    """The sentence about the columns that hold lists of objects."""
    if not columns:
        return ()
    note = Message(
        "{file}: {names} left out: lists of records; export them as a table of their own.",
        file=name,
        names=abridge(columns, 6),
    )
    return (note,)


def _fields(record: Mapping[str, object], taken: set[str]) -> Iterator[tuple[str, object]]:
    """The columns of a record: those of nested objects one by one."""
    for name, content in record.items():
        value = _unwrap(content)
        if not isinstance(value, dict):
            yield name, value
            continue
        for key, inner in value.items():
            plain = name in _WRAPPERS and key not in taken
            yield from _inner_fields(key if plain else f"{name}.{key}", _unwrap(inner))


def _inner_fields(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _inner_fields(f"{name}.{key}", _unwrap(inner))
    else:
        yield name, value


def _reference_ids(value: object) -> object:
    """The ids of a list of references such as {"id": "101", "type": "deal_to_contact"}, once each."""
    if not isinstance(value, list) or not value:
        return value
    ids = [_reference_id(reference) for reference in value]
    return list(dict.fromkeys(ids)) if None not in ids else value


def _reference_id(value: object) -> object:
    """The id of an object that holds little more, in HubSpot `id`, in kintone `code`; None for any other."""
    if (
        not isinstance(value, dict)
        or len(value) > 3
        or any(isinstance(v, dict | list) for v in value.values())
    ):
        return None
    return value.get("id", value.get("code"))


def _unwrap(value: object) -> object:
    """The value of a field as kintone writes it."""
    return value["value"] if isinstance(value, dict) and value.keys() == {"type", "value"} else value


def _to_plain(value: object) -> object:
    if isinstance(value, list):
        return _SEPARATOR.join("" if v is None else _to_text(v) for v in value) if value else None
    return value


def _to_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _uniform(values: Sequence[object]) -> pa.Array:
    """An array; of values of different types one of texts."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and bool in kinds and not any(value is True for value in values):
        return _uniform([None if value is False else value for value in values])  # Odoo's empty fields
    if len(kinds) <= 1 or kinds == {int, float}:
        return to_array(values)
    return pa.array([None if v is None else _to_text(v) for v in values], pa.string())


def _unpack_structs(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    for name in table.column_names:
        column = table[name]
        if not pa.types.is_struct(column.type):
            yield name, column
            continue
        fields = column.flatten()
        inner = pa.table(fields, names=[f"{name}.{field.name}" for field in column.type])
        yield from _unpack_structs(inner)


def _is_span(kind: pa.DataType) -> bool:
    """Whether a type is a time of day or a duration, which no moment is."""
    return bool(pa.types.is_time(kind) or pa.types.is_duration(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _decode_binary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return column


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _join_lists(column: pa.ChunkedArray) -> pa.Array:
    """Lists of values as texts such as "a;b"."""
    return pa.array([_to_plain(value) for value in column.to_pylist()], pa.string())
