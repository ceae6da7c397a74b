"""Finding how the tables of an export refer to each other: by names that fit, or by ids that are long.

Small whole numbers are found among the ids of almost any table (an age is a lead id), so they join only
where the names fit as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Bools
from features.crm.joining.ids import match_ids
from features.crm.parsing import as_numbers
from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.recognised import RecognisedTable
from features.crm.propose.words import has_word, split_words

SEPARATORS = (";", ",", "|", "\n")
_SAMPLE = 50_000
_HIGH_SHARE, _LOW_SHARE, _FEW_VALUES, _OWN_SHARE, _MORE = 0.9, 0.3, 12, 0.8, 1.2
_ID_WORDS = frozenset(
    [
        "id",
        "ids",
        "key",
        "no",
        "number",
        "code",
        "guid",
        "uuid",
        "record",
        "associated",
        "the",
        "of",
        "番号",
        "コード",
    ]
)


@dataclass(frozen=True)
class Link:
    """A column that holds ids of another table, with the share of its values that are found there.

    `separator` divides several ids in one cell.
    """

    column: str
    share: float
    separator: str | None = None


def find_link(
    source: RecognisedTable, target_table: RecognisedTable, target_id: str, min_share: float = _LOW_SHARE
) -> Link | None:
    """The column of a table with the ids of another; None if no column is one.

    Where the names fit, a share of `min_share` of the values is enough.
    """
    table, target = source.profile, target_table.profile
    if target_id == "row" or table is target:
        return None
    listed = source.recipe.columns("lead", table)
    best: tuple[float, Link | None] = (0.0, None)
    for column in table.columns:
        sample = source.samples.get(column.name, frozenset())
        if not target_table.holds_any(target_id, sample) or _is_personal(column):
            continue
        if column.name not in listed and _is_own_id(column, table, target):
            continue
        fits = column.name in listed or _names_fit(column.name, table, target, target_id)
        link = _match(table, column, target_table.ids(target_id), min_share if fits else None)
        if link is not None:
            score = (
                link.share + fits + (1.0 - 0.1 * listed.index(column.name) if column.name in listed else 0)
            )
            best = max(best, (score, link), key=lambda b: b[0])
    return best[1]


def find_deal_link(leads_table: RecognisedTable, deals: RecognisedTable, deal_id: str) -> Link | None:
    """The column of the leads that names their deal; its values are found in the table of the deals."""
    leads = leads_table.profile
    listed = leads_table.recipe.columns("deal", leads)
    for column in sorted(leads.columns, key=lambda c: c.name not in listed):
        fits = column.name in listed or _names_deal(column.name)
        if (
            fits
            and column.distinct > 1
            and deals.holds_any(deal_id, leads_table.samples.get(column.name, frozenset()))
        ):
            link = _match(leads, column, deals.ids(deal_id), _HIGH_SHARE)
            if link is not None and link.separator is None and link.share >= _HIGH_SHARE:
                return link
    return None


def candidate_ids(source: RecognisedTable) -> list[str]:
    """The columns whose values are unique: those of the recipe or named like an id, else texts.

    A name stands in for an id only where no name repeats, a number only where it counts the rows.
    """
    table, recipe = source.profile, source.recipe
    unique = [c for c in table.columns if c.unique and c.kind in ("text", "number")]
    listed = [n for n in recipe.columns("id", table) for c in unique if c.name == n]
    plain = [c for c in unique if c.name not in listed and not _is_personal(c)]
    named = [c for c in plain if has_word(c.name, "id") and not has_word(c.name, "not_id")]
    named.sort(key=lambda c: c.kind != "text")
    if listed or named:
        return [*listed, *(c.name for c in named)][:3]
    texts = [c.name for c in plain if c.kind == "text"]
    names = [c.name for c in unique if c.kind == "text" and c.distinct == c.rows and not _is_mail(c)]
    return (texts or names or [c.name for c in plain if _counts_rows(table, c)])[:3]


def _counts_rows(table: TableProfile, column: ColumnProfile) -> bool:
    """Whether a column of numbers rises by one from row to row, forwards or backwards."""
    numbers = as_numbers(table.all_texts(column.name), ()).values
    return bool(len(numbers) > 1 and (np.abs(np.diff(numbers)) == 1).mean() > 0.9)


def find_shared(source: RecognisedTable, target: RecognisedTable, target_id: str) -> Link | None:
    """The column of names, mail addresses, telephone numbers or accounts that both tables have; the one of
    which most values are found."""
    best: Link | None = None
    for column in source.profile.columns:
        for twin in target.profile.columns:
            if twin.name != target_id and column.distinct > _FEW_VALUES and _may_be_shared(column, twin):
                few, many = sorted((column, twin), key=lambda c: c.distinct)
                few_of, many_of = (source, target) if few is column else (target, source)
                values = many_of.profile.all_texts(many.name).combine_chunks()
                share = _share(few_of.profile.texts(few.name).drop_null().slice(0, _SAMPLE), values)
                best = Link(column.name, share) if share > (best.share if best else 0.1) else best
    return best


def _may_be_shared(column: ColumnProfile, twin: ColumnProfile) -> bool:
    """Whether two columns may hold the same persons or accounts."""
    if _is_mail(column) or _is_mail(twin):
        return _is_mail(column) and _is_mail(twin)
    if _is_personal(column) and _is_personal(twin):
        return True
    is_account = has_word(column.name, "account") and has_word(twin.name, "account")
    return is_account and column.distinct > _FEW_VALUES


def differs_by_zeros(source: RecognisedTable, target: RecognisedTable, target_id: str) -> str | None:
    """A column whose ids would fit without leading zeros, which a spreadsheet takes away."""
    if target_id == "row":
        return None
    ids = pc.utf8_ltrim(target.ids(target_id), "0")
    for column in source.profile.columns:
        fits = _names_fit(column.name, source.profile, target.profile, target_id)
        if fits and column.kind in ("text", "number") and column.distinct > _FEW_VALUES:
            texts = pc.utf8_ltrim(source.profile.texts(column.name).drop_null(), "0")
            if _share(texts, ids) >= _HIGH_SHARE:
                return column.name
    return None


def find_referred(table: TableProfile, link: Link, ids: pa.Array) -> Bools:
    """Which of the ids a column of another table refers to."""
    texts = table.all_texts(link.column).drop_null()
    if link.separator:
        parts = pc.utf8_trim_whitespace(
            pc.list_flatten(pc.split_pattern(texts.combine_chunks(), link.separator))
        )
        texts = pa.chunked_array([parts])
    position, _ = match_ids(texts, ids)
    referred = np.zeros(len(ids), dtype=bool)
    referred[position[position >= 0]] = True
    return referred


def _match(table: TableProfile, column: ColumnProfile, ids: pa.Array, min_share: float | None) -> Link | None:
    """The link by a column; without `min_share` the names do not fit, and only long ids join."""
    texts = table.texts(column.name).drop_null().slice(0, _SAMPLE)
    if not len(texts) or (min_share is None and (column.distinct <= _FEW_VALUES or not _is_long(texts))):
        return None
    share = _share(texts, ids)
    needed = _HIGH_SHARE if min_share is None else min_share
    separator = next((s for s in SEPARATORS if _is_list(texts, s)), None)
    if separator:
        parts = pc.utf8_trim_whitespace(pc.list_flatten(pc.split_pattern(texts.combine_chunks(), separator)))
        of_parts = _share(pa.chunked_array([parts.filter(pc.not_equal(parts, ""))]), ids)
        if of_parts > share:
            return Link(column.name, of_parts, separator) if of_parts >= needed else None
    return Link(column.name, share) if share >= needed else None


def _share(texts: pa.ChunkedArray, ids: pa.Array) -> float:
    position, _ = match_ids(texts, ids)
    return float((position >= 0).mean()) if len(position) else 0.0


def _is_list(texts: pa.ChunkedArray, separator: str) -> bool:
    return bool(pc.any(pc.match_substring(texts, separator)).as_py())


def _is_long(texts: pa.ChunkedArray) -> bool:
    """Whether ids are long enough, or hold letters or leading zeros, so that no number is one by chance."""
    sample = [str(text) for text in texts.slice(0, 2_000).to_pylist()]
    if np.median([len(text) for text in sample]) >= 6:
        return True
    is_id = [not text.isdigit() or (text.startswith("0") and len(text) > 1) for text in sample]
    return bool(np.mean(is_id) > 0.5) and any(c.isdigit() for c in "".join(sample[:50]))


def _is_personal(column: ColumnProfile) -> bool:
    """Whether a column holds names, mail addresses or telephone numbers, by which no tables are joined."""
    is_named = has_word(column.name, "person") and not has_word(column.name, "not_person")
    return _is_mail(column) or (
        is_named and (not has_word(column.name, "id") or has_word(column.name, "not_id"))
    )


def _is_mail(column: ColumnProfile) -> bool:
    return bool(column.common) and all("@" in value for value in column.common[:5])


def _is_own_id(column: ColumnProfile, table: TableProfile, target: TableProfile) -> bool:
    """Whether a column is the id of its own table: `deal_id` of deals.csv, which calls.csv holds as well."""
    words = {singular(w) for w in split_words(column.name)} - _ID_WORDS
    own_words, target_words = (({singular(w) for w in split_words(t.name)}) for t in (table, target))
    is_id = column.distinct > _OWN_SHARE * column.rows
    return is_id and bool(words) and words <= own_words and not words & target_words


def is_part_of(table: TableProfile, id_name: str, larger: TableProfile) -> bool:
    """Whether a column holds some of the ids of another table after which it is named: the `deal_id` of
    payments.csv beside deals.csv, which has more of them."""
    words = {singular(w) for w in split_words(id_name)} - _ID_WORDS
    own_words, larger_words = (({singular(w) for w in split_words(t.name)}) for t in (table, larger))
    twin = next((c for c in larger.columns if c.name == id_name), None)
    is_named = bool(words) and words <= larger_words and not words & own_words
    return is_named and twin is not None and twin.distinct > _MORE * table.column(id_name).distinct


def _names_deal(name: str) -> bool:
    return has_word(name, "deal_table") and not has_word(name, "amount")


def _names_fit(name: str, table: TableProfile, target: TableProfile, target_id: str) -> bool:
    """Whether a column is named after another table, or like its id (unless that is only `id`)."""
    words = {singular(w) for w in split_words(name)} - _ID_WORDS
    target_words = {singular(w) for w in (*split_words(target.name), *split_words(target_id))} - _ID_WORDS
    own_words = {singular(w) for w in split_words(table.name)}
    if name == target_id and words:
        return True
    if words & target_words and not (words & target_words) <= own_words:
        return True
    if _names_deal(name) or has_word(name, "account") or has_word(name, "owner"):
        return _names_deal(name) and has_word(target.name, "deal_table")
    is_of_deals = has_word(target.name, "deal_table") and not has_word(target.name, "lead_table")
    return has_word(name, "lead_table") and not has_word(name, "person") and not is_of_deals


def singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and len(word) > 3 else word
