from __future__ import annotations

import re
import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import Column, Texts
from scoring.scorecard.load import check_features, parse_card
from scoring.scorecard.scorecard import Condition
from tests.helpers.suggestion_deals import TABLE
from training.fitting.dataset import Dataset
from training.fitting.splits import split_newest
from training.scorecard.suggest import Suggestion
from training.scorecard.summary import gain_sentence
from training.scorecard.toml import suggestion_toml, toml_item


def direct(condition: Condition, column: Column) -> Any:
    """Where a condition holds, counted the slow way."""
    if isinstance(column, Texts):
        return np.array([value in (condition.one_of or ()) for value in column.to_list()])
    low, high = condition.at_least, condition.at_most
    return np.array(
        [
            (low is None or value >= low) and (high is None or value <= high) and value == value
            for value in column.tolist()
        ]
    )


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_file_says_what_the_card_says(suggestion: Suggestion, lang: Any) -> None:
    text = suggestion_toml(suggestion, TABLE, lang)
    parsed = tomllib.loads(text)
    assert "profile" not in parsed
    card = parse_card(parsed, "suggested")
    assert card == suggestion.card
    check_features(card, TABLE, "suggested")
    assert max(map(len, re.findall("^#.*", text, re.M))) <= 112


def test_the_file_tells_what_speaks_for_each_rule(data: Dataset, suggestion: Suggestion) -> None:
    text = suggestion_toml(suggestion, TABLE)
    older = data.take(split_newest(data.examples, 0, 0.2).train)
    flat = re.sub(r"\n# ", " ", text)
    for table, name, rule in suggestion.card.rules():
        holds = np.ones(len(older), bool)
        for condition in rule.when:
            holds &= direct(condition, older.columns[condition.feature])
        evidence = suggestion.evidence[f"{table}.{name}"].learnt
        assert (evidence.count, evidence.won) == (holds.sum(), older.won[holds].sum())
        assert f"Applies to {holds.sum():,} of {len(older):,} examples; " in flat
        assert evidence.low <= evidence.value <= evidence.high
    assert gain_sentence(suggestion, "en") in re.sub(r"\n# ", " ", text.split("\n#\n")[1][2:])


@given(st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False))
def test_toml_values_are_read_back(value: object) -> None:
    assert tomllib.loads(f"x = {toml_item(value).as_string()}")["x"] == value
