"""Outcomes that stand in a table as codes, whose names are in another table of the export."""

from __future__ import annotations

from dataclasses import replace

from features.crm.profile import ColumnProfile
from features.crm.propose.links import candidate_ids, singular
from features.crm.propose.outcomes import find_outcomes
from features.crm.propose.recognised import RecognisedTable
from features.crm.propose.words import Meaning, has_word, split_words
from features.messages import Message

_MOST_CODES = 200


def read_codes(tables: list[RecognisedTable]) -> tuple[list[RecognisedTable], dict[str, Message]]:
    """The tables without those of codes; their meanings go into the recipes of the tables that use them.

    A table of codes may itself refer to one (status, group of the status). Also for each table of codes the
    column whose codes it names.
    """
    uses = dict[str, Message]()
    while match := _find_users(tables, uses):
        code_table, users, meanings = match
        for index, column in users.items():
            table = tables[index]
            recipe = replace(table.recipe, codes={**table.recipe.codes, column: meanings})
            tables = [*tables[:index], replace(table, recipe=recipe), *tables[index + 1 :]]
            uses[code_table.file] = Message(
                "{codes} names the values of {file}, {column}",
                codes=code_table.file,
                file=table.file,
                column=column,
            )
    return [table for table in tables if table.file not in uses], uses


def _find_users(
    tables: list[RecognisedTable], uses: dict[str, Message]
) -> tuple[RecognisedTable, dict[int, str], dict[str, Meaning]] | None:
    """A table of codes that is not in `uses`, the columns (by table) that hold them, and their meanings."""
    for code_table in tables:
        meanings = _code_meanings(code_table) if code_table.file not in uses else {}
        users = {
            index: column
            for index, table in enumerate(tables)
            if table is not code_table and (column := _coded_column(table, code_table, meanings))
        }
        if users:
            return code_table, users, meanings
    return None


def _code_meanings(table: RecognisedTable) -> dict[str, Meaning]:
    """The meaning of each code by the column of names that tells won from lost; empty if there is none."""
    profile = table.profile
    if not 2 <= len(profile) <= _MOST_CODES or any(c.kind == "time" for c in profile.columns):
        return {}
    ids, names = candidate_ids(table), [o for o in find_outcomes(profile, table.recipe) if o.won and o.lost]
    ids = [column for column in ids if all(column != name.name for name in names)]
    if not ids or not names:
        return {}
    codes, values = (profile.texts(column).to_pylist() for column in (ids[0], names[0].name))
    pairs = zip(codes, values, strict=True)
    return {str(c): table.recipe.meaning(str(v), names[0].name) for c, v in pairs if c and v}


def _coded_column(
    table: RecognisedTable, code_table: RecognisedTable, meanings: dict[str, Meaning]
) -> str | None:
    for column in table.profile.columns if meanings else ():
        if _is_coded(column, code_table, meanings, table):
            return column.name
    return None


def _is_coded(
    column: ColumnProfile, code_table: RecognisedTable, meanings: dict[str, Meaning], table: RecognisedTable
) -> bool:
    if column.kind not in ("text", "number") or not 2 <= column.distinct <= len(meanings):
        return False
    shared = {*map(singular, split_words(column.name))} & {*map(singular, split_words(code_table.name))}
    fits = bool(shared) or has_word(column.name, "outcome")
    return fits and {*table.profile.counts(column.name)} <= {*meanings}
