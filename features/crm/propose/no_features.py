"""Columns that are no features, each with the reason that stands in the proposed crm.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from features.columns import Bools
from features.crm.parsing import encode_column
from features.crm.profile import ColumnProfile, TableProfile
from features.crm.propose.recipes import TableRecipe
from features.crm.propose.words import has_word
from features.crm.values.find_times import sounds_like_a_date
from features.messages import Message
from features.settings import MISSING

_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[\d０-９][\d０-９\-－() ./]{7,}[\d０-９]")
_CUT = re.compile(r"\d([.,]\d+)?[eE]\+(1[1-9]|[2-9]\d)")
_TEXT_VALUES, _LEVELS = 400, 50
_REASONS = {
    "owner": Message("a person who sells is no reason to buy"),
    "person": Message("personal data (a name, an address, a mail or a telephone number) is no reason to buy"),
    "result": Message("it tells how the deal ended, or is written when it ends"),
    "judgement": Message("a probability, forecast, score or judgement that the CRM or a person sets"),
    "later": Message("it is as of the day of the export, not of the day when the lead is scored"),
    "perhaps_later": Message("by its name it is as of the day of the export, and too few leads can tell"),
    "date": Message("a date after the creation is not known at the creation"),
    "deal": Message("it tells which leads have a deal, so it is written when the deal is made"),
    "merged": Message("it lists the records that were merged into this one"),
    "id": Message("it names one record"),
    "text": Message("free text"),
    "constant": Message("it has one value only"),
    "cut": Message("its long numbers were cut by Excel (4.59245E+18), so that different ones are one value"),
    "history": Message("the activities or changes hold it with its time"),
}
_CAN_BE = frozenset({"owner", "result", "judgement", "later", "perhaps_later", "deal"})


@dataclass(frozen=True)
class NoFeature:
    """A column that is no feature; `can_be` says whether a person may decide otherwise."""

    column: str
    code: str
    can_be: bool

    @property
    def is_for_the_audit(self) -> bool:
        """Only the name speaks against the column: what the data say of it decides."""
        return self.code == "perhaps_later"

    @property
    def reason(self) -> Message:
        return _REASONS[self.code]

    def describe(self) -> Message:
        column = " ".join(self.column.split())
        return Message("'{column}' is no feature: {reason}.", column=column, reason=self.reason)


def why_no_feature(
    column: ColumnProfile, table: TableProfile, recipe: TableRecipe, results: set[str], has_deal: Bools | None
) -> NoFeature | None:
    """Why a column is no feature; None if it may be one.

    `results` are columns that tell the outcome, `has_deal` says which rows have one in another table.
    """
    code = _reason_code(column, table, recipe, results)
    if code is None and has_deal is not None and _tells(table, column, has_deal):
        code = "deal"
    if code is None:
        return None
    return NoFeature(column.name, code, code in _CAN_BE)


def _tells(table: TableProfile, column: ColumnProfile, has_deal: Bools) -> bool:
    """Whether a column tells nearly all rows with a deal from the others, by its values or by having one."""
    share = float(has_deal.mean()) if len(has_deal) else 0.0
    usual = max(share, 1 - share)
    if len(has_deal) < 50 or usual > 0.97:
        return False
    texts = encode_column(table.rows.table[column.name], MISSING)
    codes = texts.codes + 1 if len(texts.categories) <= _LEVELS else (texts.codes >= 0).astype(np.int32)
    count, with_deal = (np.bincount(codes, weights=w) for w in (np.ones(len(codes)), has_deal))
    told_apart = float(np.maximum(with_deal, count - with_deal).sum() / len(codes))
    return told_apart >= usual + 0.9 * (1 - usual)


def _reason_code(
    column: ColumnProfile, table: TableProfile, recipe: TableRecipe, results: set[str]
) -> str | None:
    if column.distinct <= 1:
        return "constant"
    if np.mean([bool(_CUT.fullmatch(value)) for value in column.common]) > 0.5:
        return "cut"
    listed = next((r for r in _REASONS if column.name in recipe.columns(r, table)), None)
    if listed and not (listed in ("later", "result") and column.kind == "time"):
        return listed
    if column.kind == "time" or sounds_like_a_date(column.name):  # one that cannot be read is a date, too
        return "person" if has_word(column.name, "birth") else "date"
    if column.name in results or has_word(column.name, "converted_flag"):
        return "result"
    if has_word(column.name, "owner"):
        return "owner"
    if _is_personal(column, table):
        return "person"
    if has_word(column.name, "judgement"):
        return "judgement"
    unique_reason = _unique_reason(column)
    return unique_reason or ("perhaps_later" if has_word(column.name, "later") else None)


def _unique_reason(column: ColumnProfile) -> str | None:
    if column.unique and (column.kind == "text" or has_word(column.name, "id")):
        return "text" if any(" " in value for value in column.common[:5]) else "id"
    is_text = column.kind == "text" and column.distinct > max(_TEXT_VALUES, 0.1 * column.rows)
    return "text" if is_text else None


def _is_personal(column: ColumnProfile, table: TableProfile) -> bool:
    if column.kind == "text" and column.distinct > 12:
        sample = [str(v) for v in table.texts(column.name).drop_null().slice(0, 500).to_pylist()]
        if np.mean([bool(_MAIL.fullmatch(v)) for v in sample]) > 0.5:
            return True
        if np.mean([bool(_PHONE.fullmatch(v)) for v in sample]) > 0.8:
            return True
    if has_word(column.name, "not_person"):
        return False
    return has_word(column.name, "person") or column.name.strip() in ("名", "姓名")
