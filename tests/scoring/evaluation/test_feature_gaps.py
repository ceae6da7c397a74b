"""Features that are empty for the leads that are scored, and values that the model does not know."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from features.columns import Column, Floats, encode_texts
from features.kinds import Count
from features.table import FeatureTable
from scoring.evaluation.feature_gaps import FeatureGap, find_gaps
from scoring.pages.feature_gaps import describe_gap
from tests.helpers.evidence_builder import evidence, model_of, table_of

AGES = np.zeros(100)


def texts(*values: str | None, count: int = 100) -> Column:
    return encode_texts([values[i % len(values)] for i in range(count)])


def gaps(
    before: Mapping[str, Column],
    now: Mapping[str, Column],
    ages: Floats = AGES,
    landmark: Floats | None = None,
) -> list[FeatureGap]:
    rows = len(next(iter(before.values())))
    columns = {} if landmark is None else {"landmark": landmark}
    return find_gaps(evidence([False] * rows, before, **columns), model_of(before), now, ages)


def test_a_feature_that_no_scored_lead_has_is_empty() -> None:
    before = {"channel": texts("ads", "mail"), "size": np.ones(100), "rest": texts("x", None)}
    now = {"channel": texts(None), "size": np.full(100, np.nan), "rest": texts("x", None)}
    assert [(gap.feature, gap.cause, gap.now, gap.before) for gap in gaps(before, now)] == [
        ("channel", "empty", 0.0, pytest.approx(1.0)),
        ("size", "empty", 0.0, pytest.approx(1.0)),
    ]


def test_a_feature_that_few_leads_ever_had_is_not_empty() -> None:
    rare = np.where(np.arange(100) < 5, 1.0, np.nan)
    assert not gaps({"rare": rare}, {"rare": np.full(100, np.nan)})


def test_leads_are_compared_at_their_age() -> None:
    """Leads that came today have no visits yet; leads of a month without one are a gap."""
    landmark = np.repeat([0.0, 30.0], 50)
    visits = {"visits": (landmark == 30).astype(np.float64)}
    none = {"visits": np.zeros(100)}
    assert not gaps(visits, none, AGES + 0.5, landmark=landmark)
    assert [gap.feature for gap in gaps(visits, none, AGES + 31, landmark=landmark)] == ["visits"]


def test_a_renamed_value_is_named_with_the_former_one() -> None:
    before, now = {"channel": texts("Web", "Fair")}, {"channel": texts("Web form", "fair ")}
    (gap,) = gaps(before, now)
    assert (gap.cause, gap.value, gap.former) == ("unknown_value", "Web form", "Web")
    assert (gap.now, gap.before) == (pytest.approx(0.5), pytest.approx(0.5))


def test_a_value_in_another_spelling_or_of_few_leads_is_no_gap() -> None:
    now = texts(*(["ＷＥＢ", "fair"] * 24), "new", "Web")
    assert not gaps({"channel": texts("Web", "Fair")}, {"channel": now})


def test_a_value_that_the_model_learnt_from_older_deals_is_known() -> None:
    before, learnt = {"channel": texts("Web")}, {"channel": texts("Web", "Old")}
    judged = evidence([False] * 100, before)
    assert not find_gaps(judged, model_of(learnt), {"channel": texts("Old")}, AGES)


def test_no_lead_and_no_shared_feature_have_no_gaps() -> None:
    assert not gaps({"channel": texts("Web")}, {"channel": texts("Web", count=0)}, AGES[:0])
    assert not gaps({"channel": texts("Web")}, {"other": texts("x")})


def test_each_gap_is_worded_with_what_to_do_in_both_languages() -> None:
    table = FeatureTable({**table_of({"channel": texts("Web")}).rows, "visits": Count("visit")})
    fields = {"now": 0.0, "before": 0.5, "leads": 1200}
    empty = FeatureGap(feature="channel", cause="empty", **fields)
    sentence = describe_gap(empty, table, "en")
    assert "1,200 leads" in sentence
    assert "still called 'channel'" in sentence
    assert "[features] channel" in sentence
    assert "種類名" in describe_gap(FeatureGap(feature="visits", cause="empty", **fields), table, "ja")
    renamed = FeatureGap(feature="channel", cause="unknown_value", value="B", former="A", **fields)
    assert "“A” (50% of the leads that it was evaluated on) no longer occurs" in describe_gap(
        renamed, table, "en"
    )
    new = FeatureGap(feature="channel", cause="unknown_value", value="B", **fields)
    assert "再学習" in describe_gap(new, table, "ja")
