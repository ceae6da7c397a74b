"""What the data of an export leave open, as questions to a person.

On a terminal `hotlead init` asks them; otherwise it says what to set. The wording stands in texts.toml under
`question_<kind>`, the answers that are codes under `answer_<code>`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.detected import DetectedTables
from features.crm.propose.outcomes import NamedOutcome, OutcomeColumn
from features.crm.values.formats import NumberFormat

QuestionKind: TypeAlias = Literal["outcome", "no_outcome", "won_values", "meaning", "date_order", "decimal"]
MEANINGS = ("leave_out", "won", "lost", "open")
"""The answers to what a value means: codes, the usual one first."""
NO_MORE = "no_more"
_FEW_VALUES, _SHOWN_VALUES, _MOST_ASKED, _MOST_COLUMNS = 30, 4, 8, 12


@dataclass(frozen=True)
class Question:
    """A question of a `kind`: `values` fill its text, `options` are the answers, the proposed one first.

    Options are codes if `has_codes`, else texts from the data.
    """

    kind: QuestionKind
    values: Mapping[str, str]
    options: tuple[str, ...]
    has_codes: bool = False

    @property
    def is_blocking(self) -> bool:
        """Whether nothing can be read before it is answered."""
        return self.kind in ("date_order", "decimal")


Ask: TypeAlias = Callable[[Question], int]
"""Asks a person, and returns the place of the chosen option."""


def ask_formats(tables: Sequence[TableProfile], ask: Ask) -> list[TableProfile]:
    """The tables with the order of day and month, and the decimal signs, that a person chooses.

    One answer counts for all columns of a table that leave the same open.
    """
    return [_ask_decimals(_ask_orders(table, ask), ask) for table in tables]


def open_formats(tables: Sequence[TableProfile], in_use: Container[str | None]) -> list[Question]:
    """The orders and decimal signs that are open in the columns `in_use`."""
    columns = [(table, column) for table in tables for column in table.columns if column.name in in_use]
    questions = [q for table, c in columns for q in (_order_question(table, c), _decimal_question(table, c))]
    return [question for question in questions if question is not None]


def _ask_orders(table: TableProfile, ask: Ask) -> TableProfile:
    for column in table.columns:
        question = _order_question(table, column)
        if question is not None and column.times is not None:
            order = column.times.orders_of_example()[question.options[ask(question)]]
            return replace(table, columns=tuple(_with_order(column, order) for column in table.columns))
    return table


def _order_question(table: TableProfile, column: ColumnProfile) -> Question | None:
    times = column.times
    if times is None or not times.is_ambiguous or times.is_mixed:
        return None
    options = tuple(times.orders_of_example())
    return Question("date_order", _column_values(table, column, times.example), options)


def _with_order(column: ColumnProfile, order: str) -> ColumnProfile:
    is_open = column.times is not None and column.times.is_ambiguous
    return replace(column, times=column.times.settle(order)) if column.times and is_open else column


def _ask_decimals(table: TableProfile, ask: Ask) -> TableProfile:
    columns = []
    for column in table.columns:
        question, numbers = _decimal_question(table, column), column.numbers
        if question is not None and numbers is not None:
            settled = numbers.settle(numbers.decimals[ask(question)])
            columns.append(replace(column, numbers=settled))
        else:
            columns.append(column)
    return replace(table, columns=tuple(columns))


def _decimal_question(table: TableProfile, column: ColumnProfile) -> Question | None:
    numbers = column.numbers
    if numbers is None or len(numbers.decimals) < 2 or len(numbers.units) > 1:
        return None
    formats = [NumberFormat(decimal=sign, unit=numbers.unit) for sign in numbers.decimals]
    options = tuple(f"{number_format.parse(numbers.example):.10g}" for number_format in formats)
    return Question("decimal", _column_values(table, column, numbers.example), options)


def _column_values(table: TableProfile, column: ColumnProfile, example: str) -> dict[str, str]:
    file = table.source.table or table.source.source
    return {"file": file, "column": column.name, "example": example}


def ask_for_outcome(tables: Sequence[TableProfile], ask: Ask) -> NamedOutcome | None:
    """The outcome that a person names where none is found; None if there is none to choose, or none fits."""
    columns = [(table, column) for table in tables for column in _outcome_columns(table)][:_MOST_COLUMNS]
    if not columns:
        return None
    options = (*(_show_column(column) for _, column in columns), NO_MORE)
    chosen = ask(Question("no_outcome", {}, options))
    if chosen == len(columns):
        return None
    table, column = columns[chosen]
    groups: dict[str, list[str]] = {code: [] for code in MEANINGS}
    for value in list(table.counts(column.name))[:_MOST_ASKED]:
        values = {"column": column.name, "value": value, "file": table.name}
        options = ("open", "won", "lost")
        groups[options[ask(Question("meaning", values, options, has_codes=True))]].append(value)
    return NamedOutcome(column.name, tuple(groups["won"]), tuple(groups["lost"])) if groups["won"] else None


def _outcome_columns(table: TableProfile) -> Iterator[ColumnProfile]:
    for column in table.columns:
        if column.kind in ("text", "number") and 2 <= column.distinct <= _FEW_VALUES:
            yield column


def _show_column(column: ColumnProfile) -> str:
    more = " …" if column.distinct > _SHOWN_VALUES else ""
    return f"{column.name} ({', '.join(column.common[:_SHOWN_VALUES])}{more})"


def ask_about_outcome(detected: DetectedTables, ask: Ask) -> DetectedTables:
    """The tables with the column of the outcome, and the meaning of its values, that a person chooses."""
    for question in outcome_questions(detected):
        chosen = detected.outcomes[ask(question)]
        others = [outcome for outcome in detected.outcomes if outcome is not chosen]
        detected = replace(detected, outcomes=[chosen, *others])
    for question in _meaning_questions(detected):
        meaning = question.options[ask(question)]
        first = _move_value(detected.outcomes[0], question.values["value"], meaning)
        detected = replace(detected, outcomes=[first, *detected.outcomes[1:]])
    return detected


def outcome_questions(detected: DetectedTables) -> list[Question]:
    """Which column is the outcome, if several may be."""
    if len(detected.outcomes) < 2:
        return []
    table = detected.outcome_table.profile
    options = tuple(_show_column(table.column(outcome.name)) for outcome in detected.outcomes)
    first, *others = (outcome.name for outcome in detected.outcomes)
    values = {"file": detected.outcome_table.file, "column": first, "others": ", ".join(others)}
    return [Question("outcome", values, options)]


def _meaning_questions(detected: DetectedTables) -> list[Question]:
    first = detected.outcome
    if first is None:
        return []
    values = {"column": first.name, "file": detected.outcome_table.file}
    return [
        Question("meaning", {**values, "value": value}, MEANINGS, has_codes=True)
        for value in first.leave_out[:_MOST_ASKED]
    ]


def _move_value(outcome: OutcomeColumn, value: str, meaning: str) -> OutcomeColumn:
    """The outcome with a value that was left out as won, lost or open."""
    if meaning == "leave_out":
        return outcome
    leave_out, ignore = (tuple(v for v in vs if v != value) for vs in (outcome.leave_out, outcome.ignore))
    rest = replace(outcome, leave_out=leave_out, ignore=ignore, answered=(*outcome.answered, value))
    if meaning == "won":
        return replace(rest, won=(*rest.won, value))
    if meaning == "lost":
        return replace(rest, lost=(*rest.lost, value))
    return replace(rest, ignore=(*rest.ignore, value))
