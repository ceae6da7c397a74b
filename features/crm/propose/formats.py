"""The formats of times and numbers in a proposed crm.toml: settled by columns beside, or asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import tomlkit
from tomlkit.items import InlineTable, Table

from features.crm.profile import ColumnProfile, TableProfile
from features.crm.table_settings import Source
from features.crm.values.find_times import TimeFinding, sounds_like_a_date
from features.crm.values.formats import Decimal, NumberFormat
from features.crm.values.numbers import NumberFinding
from features.kinds import Language
from features.messages import Message, either, quote_all
from features.settings import CrmSettings

_KANA = re.compile("[ぁ-んァ-ヶ]")


def settle_formats(tables: Sequence[TableProfile]) -> list[TableProfile]:
    """The tables in which columns that two formats fit have the one that the columns beside them prove."""
    orders = {table.name: _orders(table) for table in tables}
    decimals = {table.name: _decimals(table) for table in tables}
    every_order, every_decimal = frozenset().union(*orders.values()), frozenset().union(*decimals.values())
    settled = []
    for table in tables:
        order = _single(orders[table.name] or every_order)
        decimal = _single(decimals[table.name] or every_decimal)
        is_contested = len(decimals[table.name] or every_decimal) > 1
        columns = tuple(_settle(c, table, order, decimal, is_contested) for c in table.columns)
        settled.append(replace(table, columns=columns))
    return settled


def _single(values: frozenset[str]) -> str | None:
    return next(iter(values)) if len(values) == 1 else None


def _orders(table: TableProfile) -> frozenset[str]:
    return frozenset[str]().union(*(c.times.orders for c in table.columns if c.times))


def _decimals(table: TableProfile) -> frozenset[str]:
    numbers = (c.numbers for c in table.columns if c.numbers)
    return frozenset(n.decimals[0] for n in numbers if n.is_proof and len(n.decimals) == 1)


def _settle(
    column: ColumnProfile, table: TableProfile, order: str | None, decimal: str | None, is_contested: bool
) -> ColumnProfile:
    times, numbers = column.times, column.numbers
    if times and times.is_ambiguous and order:
        times = times.settle(order)
    if numbers and len(numbers.decimals) > 1:
        proven: Decimal | None = "." if decimal == "." else "," if decimal == "," else None
        sign = proven or (None if is_contested else _decimal_by_habit(numbers.example, table))
        numbers = numbers.settle(sign) if sign else numbers
        numbers = replace(numbers, is_plain=numbers.is_plain and table.source.separator != ";")
    return replace(column, times=times, numbers=numbers)


def _decimal_by_habit(example: str, table: TableProfile) -> Decimal | None:
    """The decimal sign of 1,500 or 1.500 as the file suggests it; None if that is a question."""
    has_semicolons, is_point = table.source.separator == ";", "." in example
    if is_japanese(table):
        return "."
    if is_point:
        return "," if has_semicolons else None
    return None if has_semicolons else "."


def is_japanese(table: TableProfile) -> bool:
    """Whether a table has kana, dates or units of Japan, or the encoding of Japanese Excel."""
    texts = (text for c in table.columns for text in (c.name, *c.common))
    formats = {f for c in table.columns if c.times for f in c.times.formats}
    units = {unit for c in table.columns if c.numbers for unit in c.numbers.units}
    has_signs = bool(formats & {"japanese", "%Y年%m月%d日"} or units & {"名", "円"})
    return has_signs or table.source.encoding == "cp932" or any(_KANA.search(text) for text in texts)


def add_formats(section: Table, part: str, columns: Sequence[ColumnProfile | None], lang: Language) -> None:
    """Add the formats of the columns to the table `part` of crm.toml; questions are comments."""
    written = [c for c in dict.fromkeys(columns) if c]
    times = {c.name: c.times.formats for c in written if c.times and c.times.is_settled and c.times.formats}
    numbers = {c.name: c.numbers.number_format for c in written if c.numbers and c.numbers.is_settled}
    not_plain = {name: number_format for name, number_format in numbers.items() if number_format}
    if times:
        section.add("time_formats", _inline({name: _one_or_list(f) for name, f in times.items()}))
    if not_plain:
        section.add("number_formats", _inline({n: _format_table(f) for n, f in not_plain.items()}))
    for column in written:
        for question in _questions(column, part):
            _add_question(section, column.name, question, lang)


def _add_question(section: Table, column: str, question: Message, lang: Language) -> None:
    text = Message("{column}: {remark}", column=column, remark=question).text(lang)
    section.add(tomlkit.comment(" ".join(text.split())))


def _one_or_list(formats: tuple[str, ...]) -> str | list[str]:
    return formats[0] if len(formats) == 1 else list(formats)


def _format_table(number_format: NumberFormat) -> InlineTable:
    return _inline(number_format.model_dump(exclude_none=True))


def _inline(values: dict[str, object]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _questions(column: ColumnProfile, place: str) -> Iterator[Message]:
    if column.times and not column.times.is_settled:
        yield column.times.describe(column.name, place)
    if column.numbers and not column.numbers.is_settled:
        yield column.numbers.describe(column.name, place)


def describe_formats(tables: Sequence[TableProfile], settings: CrmSettings) -> list[Message]:
    """What a person has to know of times and numbers: questions, formats that other columns decided,
    values of another order, and dates that cannot be read."""
    return [
        Message(
            "{table}, column {column}: {reason}.",
            table=table.source.table or table.source.source,
            column=column.name,
            reason=note,
        )
        for table in tables
        for column in table.columns
        for note in _notes(column, _part_of(table, settings), column.name in used_columns(settings))
    ]


def used_columns(settings: CrmSettings) -> frozenset[str | None]:
    leads, deals, activities, changes = settings.leads, settings.deals, settings.activities, settings.changes
    of_deals = (deals.closed_at, deals.amount) if deals else ()
    of_activities = [column for table in activities for column in (table.at, table.value)]
    return frozenset({leads.created_at, *of_deals, *of_activities, changes and changes.at, *settings.columns})


def _notes(column: ColumnProfile, part: str, is_used: bool) -> Iterator[Message]:
    yield from _unread_dates(column, part)
    is_mixed = bool(column.times and column.times.is_mixed)
    if is_used or is_mixed or (column.numbers and len(column.numbers.units) > 1):
        yield from _questions(column, part)
    if is_used and column.times and column.times.is_settled:
        yield from _notes_on_times(column.times)
    if is_used and column.numbers and column.numbers.is_settled:
        yield from _notes_on_numbers(column.numbers)


def _unread_dates(column: ColumnProfile, part: str) -> Iterator[Message]:
    if column.kind in ("text", "number") and column.filled and sounds_like_a_date(column.name):
        yield Message(
            "sounds like a date, but its values fit no known form: {values}. If they are dates, write their "
            'form into [{part}]: time_formats = {{ "{column}" = "..." }}, with codes such as %d.%m.%Y',
            values=quote_all(column.common[:3]),
            part=part,
            column=column.name,
        )


def add_unread_dates(section: Table, part: str, table: TableProfile, lang: Language) -> None:
    """Add comments on the columns of a table whose names say that they hold dates that cannot be read."""
    for column in table.columns:
        for note in _unread_dates(column, part):
            _add_question(section, column.name, note, lang)


def _notes_on_times(times: TimeFinding) -> Iterator[Message]:
    formats = either(times.formats)
    if times.example:
        yield Message(
            "{example} is read as {day} ({formats}), as the columns beside it show",
            example=times.example,
            day=times.read_example(),
            formats=formats,
        )
    if times.strays:
        values = [Message("{value!r} (row {row:,})", value=value, row=row) for value, row in times.strays]
        yield Message(
            "{values} cannot be read as {formats}, as the other values are", values=values, formats=formats
        )


def _notes_on_numbers(numbers: NumberFinding) -> Iterator[Message]:
    number_format = numbers.number_format
    if numbers.example and number_format:
        opposite = NumberFormat(decimal="," if number_format.decimal == "." else ".", unit=number_format.unit)
        reading, no_reading = (f"{f.parse(numbers.example):,.10g}" for f in (number_format, opposite))
        yield Message(
            "{example} is read as {number}, not {other} ({format})",
            example=numbers.example,
            number=reading,
            other=no_reading,
            format=number_format.describe(),
        )


def _part_of(table: TableProfile, settings: CrmSettings) -> str:
    return next((part for part, source in _sources(settings) if _is_source(source, table)), "leads")


def _sources(settings: CrmSettings) -> list[tuple[str, Source]]:
    """The tables of crm.toml, each with the name of its part."""
    activities = (("activities", table) for table in settings.activities)
    parts = [("leads", settings.leads), ("deals", settings.deals), *activities, ("changes", settings.changes)]
    return [(part, source) for part, source in parts if source]


def _is_source(source: Source, table: TableProfile) -> bool:
    keys = ("source", "table", "sheet", "records")
    return all(getattr(source, key) == getattr(table.source, key) for key in keys)


def answer_questions(tables: Sequence[TableProfile], settings: CrmSettings) -> CrmSettings:
    """The settings with the first of the formats wherever crm.toml asks for one, for a look at the data."""
    answered = [(part, _answer(source, tables)) for part, source in _sources(settings)]
    single = {part: source for part, source in answered if part != "activities"}
    activities = tuple(source for part, source in answered if part == "activities")
    return settings.model_copy(update={**single, "activities": activities})


def _answer(source: Source, tables: Sequence[TableProfile]) -> Source:
    table = next((table for table in tables if _is_source(source, table)), None)
    if table is None or not any(list(_questions(c, "")) for c in table.columns):
        return source
    times = {c.name: c.times.formats for c in table.columns if c.times and c.times.formats}
    numbers = {c.name: f for c in table.columns if c.numbers and (f := c.numbers.number_format)}
    return source.model_copy(update={"time_formats": times, "number_formats": numbers})
