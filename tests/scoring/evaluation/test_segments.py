from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from features.columns import encode_texts
from features.moments import MIN_WINS
from features.table import Vocabulary
from scoring.evaluation.segments import MAX_VALUES, SegmentQuality, measure_segments
from scoring.model.evidence import MODEL, Evidence
from scoring.model.model import sigmoid
from scoring.pages.page import Table
from scoring.pages.segments import segment_blocks
from tests.helpers.evidence_builder import draw_outcomes, evidence


def judged(values: list[str | None], level: float = 0.0, seed: int = 0) -> Evidence:
    """Leads with a segment; the model has the log-odds of "ads" too high by `level`."""
    won, true, _ = draw_outcomes(seed, len(values))
    shift = np.array([level * (value == "ads") for value in values])
    return evidence(won, scores={MODEL: true + shift}, segments={"channel": encode_texts(values)})


def test_figures_of_a_segment_by_hand() -> None:
    values = ["ads", "fair", "fair", None] * 100
    sample = judged(values)
    fair, ads = measure_segments(sample)
    assert (fair.segment, fair.value, ads.value) == ("channel", "fair", "ads")  # the most frequent first
    rows = np.array([value == "ads" for value in values])
    won, score = sample.won[rows], sample.scores[MODEL][rows]
    assert (ads.leads, ads.won_leads) == (100, won.sum())
    assert ads.predicted.value == pytest.approx(sigmoid(score).mean())
    assert ads.actual.value == pytest.approx(won.mean())
    assert ads.gap.value == pytest.approx(won.mean() - sigmoid(score).mean())
    assert ads.roc_auc.value == pytest.approx(roc_auc_score(won, score))
    first = np.argsort(-score)[:10]
    assert ads.lift.value == pytest.approx(won[first].mean() / won.mean())
    for figure in (ads.actual, ads.gap, ads.roc_auc, ads.lift):
        assert figure.low < figure.value < figure.high


@pytest.mark.parametrize(("level", "is_off"), [(0.0, False), (2.0, True)])
def test_the_gap_shows_a_segment_at_a_wrong_level(level: float, is_off: bool) -> None:
    by_value = {quality.value: quality for quality in measure_segments(judged(["ads", "fair"] * 300, level))}
    assert (by_value["ads"].gap.high < 0) == is_off
    assert by_value["fair"].gap.low < 0 < by_value["fair"].gap.high


def test_examples_of_one_lead_count_as_one_lead_with_a_wider_interval() -> None:
    sample = judged(["ads"] * 400)
    rows = np.repeat(np.arange(400), 4)
    (single,), (repeated,) = measure_segments(sample), measure_segments(sample.take(rows))
    assert (single.leads, single.won_leads) == (repeated.leads, repeated.won_leads)
    assert repeated.gap.value == pytest.approx(single.gap.value)
    widths = [quality.gap.high - quality.gap.low for quality in (single, repeated)]
    assert widths[1] == pytest.approx(widths[0])


def test_a_small_segment_has_counts_and_no_figures() -> None:
    won = np.arange(200) < 100
    values: list[str | None] = ["enough"] * 200
    values[: MIN_WINS - 1] = ["few"] * (MIN_WINS - 1)  # all won
    values[150:] = ["few"] * 50
    enough, few = measure_segments(evidence(won, segments={"channel": encode_texts(values)}))
    assert (few.leads, few.won_leads) == (MIN_WINS + 49, MIN_WINS - 1)
    assert enough.is_measurable
    assert not few.is_measurable
    assert np.isnan([few.gap.value, few.actual.value, few.roc_auc.value]).all()
    assert few.to_dict()["gap"] == {"value": None, "low": None, "high": None}


def test_json_and_back() -> None:
    qualities = measure_segments(judged(["ads", "fair", "fair", None] * 100))
    read = [SegmentQuality.from_dict(json.loads(json.dumps(q.to_dict()))) for q in qualities]
    assert read == qualities


def test_only_the_most_frequent_values_are_looked_at() -> None:
    assert len(measure_segments(judged([f"v{i % 20}" for i in range(400)]))) == MAX_VALUES


def test_the_table_words_segments_and_says_which_are_too_small() -> None:
    words = Vocabulary({"channel": {"ja": "流入チャネル"}, "channel=ads": {"ja": "広告"}})
    qualities = measure_segments(judged(["ads"] * 300 + ["fair"] * 10))
    *_, table = segment_blocks(qualities, words, "ja")
    assert isinstance(table, Table)
    ads, fair = table.values
    assert [cell.text for cell in ads[:2]] == ["流入チャネル", "広告"]
    assert ads[5].small.startswith("[")
    assert fair[3].text == "件数不足のため評価できません"
    assert segment_blocks([], words, "en") == ()
