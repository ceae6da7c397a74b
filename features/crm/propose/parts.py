"""Detecting amount, account and channel, the parts of activities and changes, deleted rows, and the words for
a missing value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Bools
from features.crm.parsing import as_texts
from features.crm.profile import FEW_NUMBERS, ColumnProfile, TableProfile
from features.crm.propose.recipes import TableRecipe
from features.crm.propose.words import has_word, split_words, value_meaning
from features.settings import MISSING

_TEXT_VALUES, _ROWS = 400, 100_000
_REPEATED = 0.1
"""So many different values per row, or fewer: each is common enough to be learnt from."""
_EMPTY_IDS = r"^(0{6,}(AAA)?|0{8}(-0{4}){3}-0{12}|0000-00-00( 00:00:00)?)$"
_YES_OF_NO = {"false": "true", "0": "1", "no": "yes", "n": "y", "f": "t", "いいえ": "はい"}


def find_amount(table: TableProfile, recipe: TableRecipe) -> str | None:
    """The money of the deal; the revenue or the employees of the company are none."""
    columns = [c for c in table.columns if c.kind == "number"]
    listed = _listed(recipe, "amount", table, columns)
    named = [c for c in columns if _is_named_amount(c.name) and not has_word(c.name, "not_amount")]
    of_deals = sorted(named, key=lambda c: not has_word(c.name, "deal_table"))
    return next((c.name for c in (*listed, *of_deals)), None)


def _is_named_amount(name: str) -> bool:
    """A word for money, or a header that is nothing but "value" or "total"."""
    return has_word(name, "amount") or (len(split_words(name)) == 1 and has_word(name, "amount_alone"))


def find_account(table: TableProfile, recipe: TableRecipe, lead_id: str, won: Bools | None) -> str | None:
    """The company of a lead; a column that only won leads have is none, because splits would follow it."""
    columns = [c for c in table.columns if c.kind in ("text", "number") and c.name != lead_id]
    listed = _listed(recipe, "account", table, columns)
    named = [c for c in columns if has_word(c.name, "account") and not has_word(c.name, "not_account")]
    for column in (*listed, *named):
        if column.unique or column.distinct <= 0.05 * column.rows:
            continue
        if won is None or _is_filled_alike(table, column.name, won):
            return column.name
    return None


def _is_filled_alike(table: TableProfile, column: str, won: Bools) -> bool:
    filled = table.texts(column).is_valid().to_numpy().astype(bool)
    if not won.any():
        return True
    return bool(filled[~won].mean() >= 0.5 * filled[won].mean()) if (~won).any() else True


def find_channel(table: TableProfile, recipe: TableRecipe) -> str | None:
    texts = [c for c in table.columns if c.kind == "text" and 1 < c.distinct <= 50]
    listed = _listed(recipe, "channel", table, texts)
    named = (c for c in texts if has_word(c.name, "channel"))
    return next((c.name for c in (*listed, *named)), None)


def find_activity_time(table: TableProfile, recipe: TableRecipe) -> str | None:
    """The date of an activity, which nearly all rows have."""
    times = [c for c in table.columns if c.kind == "time" and c.filled > 0.95]
    listed = _listed(recipe, "time", table, times)
    past = [c for c in times if not has_word(c.name, "planned") and not has_word(c.name, "later")]
    return next((c.name for c in (*listed, *past, *times)), None)


def find_activity_type(table: TableProfile, recipe: TableRecipe) -> str | None:
    texts = [c for c in table.columns if c.kind == "text" and not c.unique]
    fitting = [c for c in texts if c.distinct <= 200 and c.filled > 0.9]
    listed = _listed(recipe, "type", table, fitting)
    named = (c for c in fitting if has_word(c.name, "activity_type"))
    return next((c.name for c in (*listed, *named)), None)


def find_activity_value(table: TableProfile) -> str | None:
    numbers = (c for c in table.columns if c.kind == "number")
    return next((c.name for c in numbers if has_word(c.name, "activity_value")), None)


def find_changed_column(table: TableProfile, recipe: TableRecipe) -> str | None:
    """The column that holds the name of the changed column."""
    texts = [c for c in table.columns if c.kind == "text" and c.distinct < _TEXT_VALUES]
    listed = _listed(recipe, "column", table, texts)
    return next((c.name for c in (*listed, *(c for c in texts if _is_named_field(c.name)))), None)


def _is_named_field(name: str) -> bool:
    return has_word(name, "changed_column") and not has_word(name, "changed_value")


def find_changed_value(table: TableProfile, recipe: TableRecipe) -> str | None:
    values = [c for c in table.columns if c.kind in ("text", "number")]
    listed = _listed(recipe, "value", table, values)
    named = (
        c for c in values if has_word(c.name, "changed_value") and not has_word(c.name, "changed_column")
    )
    return next((c.name for c in (*listed, *named)), None)


def deleted_rows(table: TableProfile, recipe: TableRecipe) -> dict[str, tuple[str, ...]]:
    """The values that mark a deleted or merged row, by column; empty if there is no such column."""
    return {c.name: values for c in _deleted_flags(table, recipe) if (values := _deleted_values(c))}


def _deleted_flags(table: TableProfile, recipe: TableRecipe) -> Iterator[ColumnProfile]:
    listed = recipe.columns("deleted", table)
    for column in table.columns:
        is_named = has_word(column.name, "deleted_flag") and column.kind != "time"
        if (column.name in listed or is_named) and 0 < column.distinct <= 2:
            yield column


def _deleted_values(column: ColumnProfile) -> tuple[str, ...]:
    """The values that mean yes; where there is none, the one that a later export may hold."""
    meanings = {value: value_meaning(value) for value in column.common}
    if not {*meanings.values()} <= {"yes", "no"}:
        return ()
    yes = tuple(value for value, meaning in meanings.items() if meaning == "yes")
    return yes or tuple(_YES_OF_NO[v.lower()] for v in meanings if v.lower() in _YES_OF_NO)


def _listed(
    recipe: TableRecipe, role: str, table: TableProfile, fitting: list[ColumnProfile]
) -> list[ColumnProfile]:
    """The fitting columns that the recipe names for a part."""
    return [c for name in recipe.columns(role, table) for c in fitting if c.name == name]


def is_number_feature(column: ColumnProfile) -> bool:
    """Whether a column is read as a number; a few different numbers without a unit, and codes (of a branch, a
    region or a product), are categories."""
    has_format = column.numbers is not None and bool(column.numbers.number_format)
    is_code = has_word(column.name, "code") and column.distinct <= min(_TEXT_VALUES, _REPEATED * column.rows)
    return column.kind == "number" and (has_format or (column.distinct > FEW_NUMBERS and not is_code))


def find_missing_words(tables: Sequence[TableProfile]) -> list[str]:
    """The usual words for a missing value that occur in some tables, those among their numbers and times, and
    ids and dates of zeros only."""
    words = pa.array([word for word in (*MISSING, "Select") if word])
    occurring = {word for table in tables for column in table.columns for word in column.missing_words}
    for column in (column for table in tables for column in table.rows.table.columns):
        texts = as_texts(column.slice(0, _ROWS), ())
        is_word = pc.or_(pc.is_in(texts, value_set=words), pc.match_substring_regex(texts, _EMPTY_IDS))
        occurring.update(pc.unique(texts.filter(is_word)).to_pylist())
    return sorted(occurring)
