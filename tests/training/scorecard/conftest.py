from __future__ import annotations

import pytest

from tests.helpers.suggestion_deals import card_of, data_of
from training.fitting.dataset import Dataset
from training.scorecard.suggest import Suggestion, suggest


@pytest.fixture(scope="session")
def data() -> Dataset:
    return data_of(card=card_of())


@pytest.fixture(scope="session")
def suggestion(data: Dataset) -> Suggestion:
    return suggest(data)


@pytest.fixture(scope="session")
def from_nothing() -> Suggestion:
    return suggest(data_of())
