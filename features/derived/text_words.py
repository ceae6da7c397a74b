"""The words of a free text that a model knows, so that reasons can name them without the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from features.columns import split_levels
from features.derived.ngrams import word_ngrams

MAX_SHOWN = 3


@dataclass(frozen=True)
class TextWords:
    """Words with their weight in the log-odds, the largest first; a text is known by its n-grams alone."""

    weights: Mapping[str, float]

    def select(self, ngrams: str, contribution: float = 0.0) -> tuple[str, ...]:
        """The words whose n-grams all stand in a text, heaviest first, at most `MAX_SHOWN`.

        With a `contribution`, of the whole text, only the words that pull as it does.
        """
        in_text = frozenset(split_levels(ngrams))
        matching = (
            word
            for word, needed in self._ngrams.items()
            if self.weights[word] * contribution >= 0 and needed <= in_text
        )
        return tuple(word for word, _ in zip(matching, range(MAX_SHOWN), strict=False))

    @cached_property
    def _ngrams(self) -> dict[str, frozenset[str]]:
        ranked = sorted(self.weights, key=lambda word: (-abs(self.weights[word]), word))
        return {word: word_ngrams(word) for word in ranked}
