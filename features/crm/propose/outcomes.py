"""Detecting the column of the outcome by its values: won, lost, open, or neither of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Bools
from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.recipes import TableRecipe
from features.crm.propose.words import Meaning, has_word, value_meaning
from features.errors import DataError, suggest_nearest
from features.messages import Message

_MOST_VALUES, _LEAST_FILLED, _SURE, _ENOUGH = 60, 0.3, 0.98, 1.5


@dataclass(frozen=True, kw_only=True)
class OutcomeColumn:
    """A column that may be the outcome, with the meaning of its values; a higher `score` fits better.

    `kind` says how the outcome is told: by `words`, by the `flags` won and closed, by `converted` only, or
    by one column of yes and no. `answered` are values whose meaning a person said. `remarks` are sentences
    for crm.toml.
    """

    name: str
    kind: str
    won: tuple[str, ...]
    lost: tuple[str, ...]
    ignore: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    open_where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lost_where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    score: float = 0.0
    remarks: tuple[Message, ...] = ()

    def decide(self, table: TableProfile) -> tuple[Bools, Bools]:
        """Which rows are won and which are lost."""
        won, lost = (is_in(table, self.name, values) for values in (self.won, self.lost))
        for column, values in self.lost_where.items():
            lost |= is_in(table, column, values) & ~won
        for column, values in self.open_where.items():
            is_open = is_in(table, column, values)
            won, lost = won & ~is_open, lost & ~is_open
        return won, lost


@dataclass(frozen=True)
class NamedOutcome:
    """The column that a person names as the outcome, and the values that mean won and lost if given."""

    column: str
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flags:
    """Columns of yes and no that tell whether a deal is won, closed, or a lead converted."""

    won: str | None
    closed: str | None
    converted: str | None
    active: str | None

    @property
    def names(self) -> set[str]:
        return {name for name in (self.won, self.closed, self.converted, self.active) if name}


def find_flags(table: TableProfile, recipe: TableRecipe) -> Flags:
    """The flags of a table, by its recipe or by their names and values."""
    flags = [c for c in table.columns if c.distinct <= 2 and _is_flag(c, recipe)]
    names = [c.name for c in flags]

    def first(role: str, kind: str, *others: str) -> str | None:
        listed = [n for n in recipe.columns(role, table) if n in names]
        named = (n for n in names if has_word(n, kind) and not any(has_word(n, o) for o in others))
        return next(iter((*listed, *named)), None)

    active = next((n for n in recipe.columns("active", table) if n in names), None)
    return Flags(
        first("won_flag", "won_flag"),
        first("closed_flag", "closed_flag", "won_flag"),
        first("converted_flag", "converted_flag"),
        active,
    )


def find_outcomes(
    table: TableProfile, recipe: TableRecipe, named: NamedOutcome | None = None
) -> list[OutcomeColumn]:
    """The columns that may be the outcome, the best first; of a `named` one any reading is taken."""
    if named is not None and named.won:
        return _read_named(table, named) if any(c.name == named.column for c in table.columns) else []
    flags = find_flags(table, recipe)
    candidates = []
    for column in table.columns:
        if (named and named.column != column.name) or column.kind in ("time", "empty"):
            continue
        if not 2 <= column.distinct <= _MOST_VALUES or column.filled < _LEAST_FILLED:
            continue
        outcome = _read_outcome(table, column, recipe, flags, named is not None)
        if outcome is not None and (named or outcome.score >= _ENOUGH):
            candidates.append(outcome)
    return sorted(candidates, key=lambda o: -o.score)


def _read_named(table: TableProfile, named: NamedOutcome) -> list[OutcomeColumn]:
    """The outcome by the values that a person names; all others are open.

    Raises DataError for a value that the column does not hold.
    """
    values = table.counts(named.column)
    for option, wanted in (("--won", named.won), ("--lost", named.lost)):
        for value in wanted:
            if value not in values:
                hint = suggest_nearest(value, list(values))
                raise DataError(
                    "{option}: {column} holds no value {value!r}; {hint}.",
                    option=option,
                    column=named.column,
                    value=value,
                    hint=hint,
                )
    decided = {*named.won, *named.lost}
    ignore = tuple(v for v in values if v not in decided)
    return [OutcomeColumn(name=named.column, kind="words", won=named.won, lost=named.lost, ignore=ignore)]


def _read_outcome(
    table: TableProfile, column: ColumnProfile, recipe: TableRecipe, flags: Flags, named: bool
) -> OutcomeColumn | None:
    meanings = {value: recipe.meaning(value, column.name) for value in table.counts(column.name)}
    if {*meanings.values()} <= {"yes", "no"}:
        outcome = _read_flag(table, column, meanings, flags, named)
    else:
        outcome = _read_words(table, column, meanings, flags, named)
    if outcome is None:
        return None
    listed = recipe.columns("outcome", table)
    bonus = 1.0 - 0.1 * listed.index(column.name) if column.name in listed else 0.0
    bonus += 1.0 * (column.name in recipe.codes)
    bonus += 0.5 * has_word(column.name, "outcome") - 2.0 * has_word(column.name, "not_outcome")
    return replace(outcome, score=outcome.score + bonus)


def _read_words(
    table: TableProfile, column: ColumnProfile, meanings: dict[str, Meaning], flags: Flags, named: bool
) -> OutcomeColumn | None:
    by_flags = _read_by_flags(table, column.name, flags) if not flags.converted else None
    if by_flags is not None:
        return by_flags
    values = _group(meanings)
    won, lost = [*values["won"], *values["was_won"]], values["lost"]
    kind, score = ("words", 3.0) if won and lost else ("words", 1.2)
    was_won = Message("{values}: was won once, so it counts as won", values=values["was_won"])
    remarks = [was_won] * bool(values["was_won"])
    if not won and (values["converted"] or (named and values["qualified"])):
        won, kind, score = values["converted"] or values["qualified"], "converted", 2.2 if lost else 0.9
        remarks.append(
            Message("{values} counts as won, because this export holds no deals that tell it", values=won)
        )
    if not won:
        return None
    if not lost:
        lost = values["not_won"]
        score += 0.5 * bool(lost)
    closed = [
        *(values["closed"] if lost else []),
        *_closed_by_flag(table, column.name, values["open"], flags),
    ]
    if closed:
        remarks.append(Message("{values}: closed alone is neither won nor lost", values=closed))
    if flags.active:
        remarks.append(
            Message("a lead that is not active ({column}) and not won counts as lost", column=flags.active)
        )
    taken = {*won, *lost, *closed, *values["neither"]}
    return OutcomeColumn(
        name=column.name,
        kind=kind,
        won=tuple(won),
        lost=tuple(lost),
        ignore=tuple(v for v in meanings if v not in taken),
        leave_out=(*values["neither"], *closed),
        lost_where={flags.active: _values(table, flags.active, "no")} if flags.active else {},
        score=score + 0.3 * bool(lost and len(meanings) > len(taken)) + 1.5 * bool(flags.active),
        remarks=tuple(remarks),
    )


def _closed_by_flag(table: TableProfile, column: str, values: list[str], flags: Flags) -> list[str]:
    """Those of the values whose deals are closed, as the flag says."""
    if not flags.closed or flags.closed == column:
        return []
    closed = is_in(table, flags.closed, _values(table, flags.closed, "yes"))
    return [value for value in values if closed[is_in(table, column, (value,))].mean() >= _SURE]


def _read_by_flags(table: TableProfile, column: str, flags: Flags) -> OutcomeColumn | None:
    """The meaning of each value by the flags won and closed; None if a value has several."""
    if not flags.won or not flags.closed or column in flags.names:
        return None
    won, closed = (is_in(table, name, _values(table, name, "yes")) for name in (flags.won, flags.closed))
    texts = table.texts(column)
    groups: dict[str, list[str]] = {"won": [], "lost": [], "open": []}
    for value in table.counts(column):
        rows = np.asarray(pc.fill_null(pc.equal(texts, value), False).to_numpy(zero_copy_only=False), bool)
        won_share, closed_share = float(won[rows].mean()), float(closed[rows].mean())
        if won_share >= _SURE:
            groups["won"].append(value)
        elif won_share <= 1 - _SURE and closed_share >= _SURE:
            groups["lost"].append(value)
        elif closed_share <= 1 - _SURE:
            groups["open"].append(value)
        else:
            return None
    if not groups["won"]:
        return None
    return OutcomeColumn(
        name=column,
        kind="flags",
        won=tuple(groups["won"]),
        lost=tuple(groups["lost"]),
        ignore=tuple(groups["open"]),
        score=3.2 + 0.3 * bool(groups["open"]),
        remarks=(Message("the values by {won} and {closed}", won=flags.won, closed=flags.closed),),
    )


def _read_flag(
    table: TableProfile, column: ColumnProfile, meanings: dict[str, Meaning], flags: Flags, named: bool
) -> OutcomeColumn | None:
    """An outcome of yes and no; where a flag tells the closed deals, the others are open."""
    if column.name == flags.closed or {*meanings.values()} != {"yes", "no"}:
        return None
    score = 2.2 if column.name == flags.won else 1.8 if column.name == flags.converted else 1.2
    groups = _group(meanings)
    is_plain = not has_word(column.name, "outcome") and not named
    if (is_plain and column.name not in flags.names) or column.name == flags.active:
        return None
    has_closed = flags.closed is not None and column.name == flags.won
    open_where = {str(flags.closed): (*_values(table, str(flags.closed), "no"), "")} if has_closed else {}
    return OutcomeColumn(
        name=column.name,
        kind="flag",
        won=tuple(groups["yes"]),
        lost=tuple(groups["no"]),
        open_where=open_where,
        score=score + 1.0 * has_closed,
    )


def _group(meanings: Mapping[str, Meaning]) -> dict[str, list[str]]:
    kinds = ("won", "was_won", "lost", "open", "not_won", "converted", "qualified", "closed", "neither")
    return {kind: [v for v, m in meanings.items() if m == kind] for kind in (*kinds, "yes", "no")}


def _is_flag(column: ColumnProfile, recipe: TableRecipe) -> bool:
    return bool(column.common) and {recipe.meaning(v) for v in column.common} <= {"yes", "no"}


def _values(table: TableProfile, column: str, meaning: Meaning) -> tuple[str, ...]:
    """The values of a flag that mean yes, or no."""
    return tuple(v for v in table.counts(column) if value_meaning(v) == meaning)


def is_in(table: TableProfile, column: str, values: tuple[str, ...]) -> Bools:
    """The rows whose value is one of `values`; "" stands for an empty cell."""
    texts = pc.fill_null(table.texts(column), "")
    selected = pc.is_in(texts, value_set=pa.array(values, pa.string()))
    return np.asarray(selected.to_numpy(zero_copy_only=False), dtype=bool)
