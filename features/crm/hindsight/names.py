"""Columns whose names sound like something that is known only later: the name alone decides nothing.

It lowers the evidence that a suspicion takes: a column that tells closed leads from open ones a little, or
won from lost ones well. Where there is no open lead to compare with, a name of the end of the deal, or of a
count until today, is enough if the column tells anything at all. Others are named in a warning and stay in.
"""

from __future__ import annotations

import re

from features.crm.findings import Finding
from features.crm.hindsight.audited import AuditedColumn
from features.crm.hindsight.checks import measure_closed_movement, separate_closed

_OF_THE_END = re.compile(
    r"\b(final|elapsed|closing|closed?|won|lost|total days|ratio days|stages?|n events|times contacted"
    r"|last (modified|updated)|number of activities|(total|done) activities)\b"
    r"|最終(更新|結果)|経過|失注|成約|受注|クローズ|所要",
    re.IGNORECASE,
)
"""Written when the deal ends, or counted until then."""
_PERHAPS_LATER = re.compile(
    r"\b(last|latest|next activity|duration|outcome|result|status|resolution|page views|days visited)\b"
    r"|最終|結果|ステータス|次回",
    re.IGNORECASE,
)
"""Of the moment as often as of the end."""
_OF_A_PERSON = re.compile(
    r"\b(marital|civil|family|employment|housing|residence)\b|婚姻|家族|雇用|居住|学歴", re.IGNORECASE
)
"""A status of these says who a lead is, not how its deal ended."""
_TELLING, _STRONG = 0.55, 0.68
"""The ROC AUC from which a column tells anything of the outcome, and so much that its name is believed."""
_TELLING_OPEN, _ERRORS = 0.55, 3.0
"""From where a column so named tells closed from open leads: ROC AUC, and standard errors from chance."""


def find_named_like_a_summary(column: AuditedColumn) -> Finding | None:
    """A column that tells something of the outcome and is named as if it were known only later."""
    name = re.sub(r"[_\-.]|(?<=[a-z])(?=[A-Z])", " ", column.name)
    is_of_the_end = bool(_OF_THE_END.search(name))
    if not (is_of_the_end or _PERHAPS_LATER.search(name)) or _OF_A_PERSON.search(name):
        return None
    auc = column.auc_interleaved()
    if not auc > _TELLING:
        return None
    has_open = bool(len(column.values_of_compared))
    if auc >= _STRONG or (_tells_open(column) if has_open else is_of_the_end):
        return _suspect(column.name, auc)
    return _warn(column.name, auc)


def _tells_open(column: AuditedColumn) -> bool:
    """Whether closed leads differ from open ones of the same age, and not because they close sooner."""
    separation, score = separate_closed(column)
    if separation.auc < _TELLING_OPEN or separation.errors < _ERRORS:
        return False
    return not measure_closed_movement(column, score).is_known_before


def _suspect(name: str, auc: float) -> Finding:
    return Finding(
        code="named_like_a_summary",
        severity="suspect",
        en=(
            f"'{name}' sounds like something that is known only when the deal ends, and it predicts "
            f"(ROC AUC {auc:.2f} alone). If it is as it stood at the moment, keep it."
        ),
        ja=(
            f"「{name}」は案件終了時に決まる項目の名前に見え、単独でも予測に効いています"
            f"（ROC AUC {auc:.2f}）。評価時点の値と確認できる場合だけ使ってください。"
        ),
    )


def _warn(name: str, auc: float) -> Finding:
    return Finding(
        code="named_like_a_summary",
        severity="warning",
        en=(
            f"'{name}' sounds like something that changes until the deal ends, but only its name speaks for "
            f"that (ROC AUC {auc:.2f} alone): it stays in. If its value changes later, leave it out."
        ),
        ja=(
            f"「{name}」は案件終了まで変わる項目の名前に見えますが、データにその兆候はありません"
            f"（単独のROC AUC {auc:.2f}）。特徴量として残します。"
            "評価時点より後に変わる項目であれば外してください。"
        ),
    )
