"""What a scorecard and its features say in one language, put into words once for many answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import compress, product
from typing import NamedTuple, TypeAlias

from features.columns import Column, Floats, Texts
from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.actions import action_of, codes_of
from scoring.decision.reasons import MOST_REASONS, SMALL, in_order, shown
from scoring.decision.score import Explain, Told
from scoring.scorecard.scorecard import Rule, Scorecard
from scoring.texts import say

_DIGITS = 4
_TOLD = 0.5 / 10**_DIGITS
"""The least log-odds that are not 0 where a reason tells them."""
REMEMBERED = 10_000
"""So many reasons are remembered as they were put into words."""

Value: TypeAlias = float | str | None


class Said(NamedTuple):
    """What to do: an action, with the prompt that waits."""

    kind: str
    owner: str
    text: str
    content: str | None
    prompt: str | None


@dataclass(frozen=True)
class Wording:
    """The words for the rules of `card` and the features of `table`."""

    card: Scorecard
    table: FeatureTable
    lang: Language

    @cached_property
    def labels(self) -> dict[str, str]:
        """What people call each feature."""
        return {name: self.table.label(name, self.lang) for name in self.table.names}

    @cached_property
    def actions(self) -> dict[tuple[int, int], Said]:
        """What to do, by the codes of action and prompt (see `Actions`)."""
        prompts = range(-1, len(self.card.prompts))
        return {
            (code, prompt): self._action(code, prompt)
            for code, prompt in product(codes_of(self.card), prompts)
        }

    def rules_reasons(self, held: Sequence[bool]) -> tuple[tuple[Told, ...], ...]:
        """The rows that hold, most points first, the triggers, and the exclusions. `held` says of each
        rule of the card whether it holds."""
        rows, triggers, exclusions = self._rules
        after = len(rows) + len(triggers)
        return (
            tuple([rows[place] for place in self._most_first if held[place]]),
            tuple(compress(triggers, held[len(rows) :])),
            tuple(compress(exclusions, held[after:])),
        )

    def model_reasons(
        self,
        names: Sequence[str],
        contributions: Floats,
        columns: Mapping[str, Column],
        explain: Explain = "top",
    ) -> list[tuple[Told, ...]]:
        """The reasons of the model's score of each lead (a row of `contributions`), strongest first.

        `names` are the features of the contributions, `columns` their values.
        """
        most, least = (None, _TOLD) if explain == "all" else (MOST_REASONS, SMALL)
        told = in_order(contributions, most, least)
        features = {names[place] for reasons in told for place, _ in reasons}
        values = {name: _plain(columns[name]) for name in features}

        def reason(name: str, weight: float, value: Value) -> Told:
            known = None if value != value else value  # JSON has no nan
            return Told(name, self._reason(name, known), round(weight, _DIGITS), known)

        return [
            tuple(reason(names[i], weight, values[names[i]][row]) for i, weight in reasons)
            for row, reasons in enumerate(told)
        ]

    @cached_property
    def _reason(self) -> Callable[[str, Value], str]:
        """Puts a feature and its value into words; many leads share them."""

        @lru_cache(maxsize=REMEMBERED)
        def reason(name: str, value: Value) -> str:
            told = shown(self.table, name, value, self.lang)
            return say("reason", self.lang, label=self.labels[name], value=told)

        return reason

    @cached_property
    def _most_first(self) -> list[int]:
        """The places of the card's rows, most points first."""
        rows = self._rules[0]
        return sorted(range(len(rows)), key=lambda place: -abs(rows[place].weight))

    @cached_property
    def _rules(self) -> tuple[tuple[Told, ...], ...]:
        card = self.card
        return tuple(self._told(rules) for rules in (card.rows, card.triggers, card.exclusions))

    def _told(self, rules: Mapping[str, Rule]) -> tuple[Told, ...]:
        return tuple(
            Told(name, rule.because.text(self.lang), float(getattr(rule, "points", 0)))
            for name, rule in rules.items()
        )

    def _action(self, code: int, prompt: int) -> Said:
        """The answer that waits, if any, then the stage's action."""
        action, texts, waits = action_of(self.card, code), [], None
        if prompt >= 0:
            waits, asked = list(self.card.prompts.items())[prompt]
            texts.append(asked.text.text(self.lang))
        texts.append(action.text.text(self.lang))
        text = ("" if self.lang == "ja" else " ").join(texts)
        content = None if action.content is None else action.content.text(self.lang)
        return Said(action.kind, action.owner, text, content, waits)


def _plain(column: Column) -> list[Value]:
    return list(column.plain()) if isinstance(column, Texts) else column.tolist()
