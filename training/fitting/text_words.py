"""The words that a model's reasons may name of a free text."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from features.columns import split_levels
from features.crm.load import Loaded
from features.crm.parsing import as_texts
from features.derived.ngrams import find_words, to_ngrams, word_ngrams
from features.derived.text_words import TextWords
from scoring.model.encoding import TextLevels
from scoring.model.model import Model

MIN_LEADS, MIN_PRECISION, MAX_WORDS, MAX_TEXTS = 10, 0.9, 200, 20_000
"""A word is named if so many leads use it and if, of all leads with its n-grams, this share use it."""


def with_text_words(model: Model, loaded: Loaded) -> Model:
    """The model with the words of its free texts, and their weights in the log-odds of the linear part."""
    columns = {use.feature: use.column for use in model.table.column_uses}
    words = {
        name: _learn_words(model, name, loaded, columns[name]) for name in sorted(model.table.free_texts)
    }
    return replace(model, table=replace(model.table, text_words=words)) if words else model


def _learn_words(model: Model, name: str, loaded: Loaded, column: str) -> TextWords:
    weight_of = _ngram_weights(model, name)
    texts = _read_texts(loaded, column)
    counts = Counter(word for text in texts for word in find_words(text))
    weights = {
        word: round(sum(weight_of.get(ngram, 0.0) for ngram in word_ngrams(word)), 4)
        for word, count in counts.items()
        if count >= MIN_LEADS
    }
    heaviest = sorted((w for w in weights if weights[w]), key=lambda word: (-abs(weights[word]), word))
    precise = _select_precise(heaviest[: 2 * MAX_WORDS], counts, texts)
    return TextWords({word: weights[word] for word in precise[:MAX_WORDS]})


def _read_texts(loaded: Loaded, column: str) -> list[str]:
    """The texts of the leads, of a sample where there are many."""
    if column not in loaded.leads.column_names:
        return []
    texts = as_texts(loaded.leads[column], loaded.settings.missing).drop_null().to_pylist()
    return random.Random(0).sample(texts, min(len(texts), MAX_TEXTS))


def _select_precise(words: Sequence[str], counts: Counter[str], texts: Sequence[str]) -> list[str]:
    """The words that their n-grams tell from other words."""
    fitting, ngrams_of = Counter[str](), {word: word_ngrams(word) for word in words}
    for text in texts:
        ngrams = frozenset(split_levels(to_ngrams(text)))
        fitting.update(word for word in words if ngrams_of[word] <= ngrams)
    return [word for word in words if counts[word] >= MIN_PRECISION * fitting[word]]


def _ngram_weights(model: Model, name: str) -> dict[str, float]:
    """By n-gram the log-odds that it adds to a score."""
    levels = model.encoding.levels[name]
    assert isinstance(levels, TextLevels)  # a free text is a text
    factor = model.calibration.slope * model.weights["linear"]
    start = model.encoding.columns_of({name})[0] + levels.width - len(levels.values)
    weights = model.linear.weights[start : start + len(levels.values)] * factor
    return dict(zip(levels.values, weights.tolist(), strict=True))
