"""The sentences on gaps between the leads that are scored and those that a model was evaluated on."""

from __future__ import annotations

from features.kinds import Attribute, Language
from features.table import FeatureTable
from scoring.evaluation.feature_gaps import FeatureGap
from scoring.texts import translate


def describe_gap(gap: FeatureGap, table: FeatureTable, lang: Language) -> str:
    """What differs, by how much, and what to do."""
    feature = table.rows[gap.feature]
    column = feature.column if isinstance(feature, Attribute) else None
    if gap.cause == "empty":
        kind = "empty_column" if column else "empty_activity"
    else:
        kind = "unknown_value_renamed" if gap.former else "unknown_value"
    return translate(
        f"gap_{kind}",
        lang,
        label=table.label(gap.feature, lang),
        feature=gap.feature,
        column=column,
        leads=f"{gap.leads:,}",
        now=f"{gap.now:.0%}",
        before=f"{gap.before:.0%}",
        value=gap.value,
        former=gap.former,
    )
