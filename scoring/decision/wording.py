"""The texts of a scorecard and its features in one language, made once and shared by many answers."""

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
from scoring.decision.reasons import (
    MAX_REASONS,
    MIN_CONTRIBUTION,
    describe_text,
    format_value,
    rank_contributions,
    rule_reasons,
)
from scoring.decision.score import Explain, Reason
from scoring.scorecard.scorecard import Scorecard
from scoring.texts import translate

_DIGITS = 4
_MIN_SHOWN = 0.5 / 10**_DIGITS
"""The smallest log-odds that do not round to 0."""
CACHED_REASONS = 10_000
"""The size of the cache of reason texts."""

ReasonValue: TypeAlias = float | str | None


class ActionText(NamedTuple):
    """What to do: an action, with the text of the prompt that awaits an answer."""

    kind: str
    owner: str
    text: str
    content: str | None
    prompt: str | None


@dataclass(frozen=True)
class Wording:
    """The texts for the rules of `card` and the features of `table`."""

    card: Scorecard
    table: FeatureTable
    lang: Language

    @cached_property
    def labels(self) -> dict[str, str]:
        return {name: self.table.label(name, self.lang) for name in self.table.names}

    @cached_property
    def actions(self) -> dict[tuple[int, int], ActionText]:
        """The texts of all actions, by the codes of action and prompt (see `Actions`)."""
        prompts = range(-1, len(self.card.prompts))
        return {
            (code, prompt): self._action_text(code, prompt)
            for code, prompt in product(codes_of(self.card), prompts)
        }

    def rules_reasons(self, matches: Sequence[bool]) -> tuple[tuple[Reason, ...], ...]:
        """The rows that hold, most points first, the triggers, and the exclusions.

        `matches` has a flag for each rule, in the order of `Scorecard.rules`.
        """
        rows, triggers, exclusions = self._rules
        after = len(rows) + len(triggers)
        return (
            tuple([rows[place] for place in self._by_points if matches[place]]),
            tuple(compress(triggers, matches[len(rows) :])),
            tuple(compress(exclusions, matches[after:])),
        )

    def model_reasons(
        self,
        names: Sequence[str],
        contributions: Floats,
        columns: Mapping[str, Column],
        explain: Explain = "top",
    ) -> list[tuple[Reason, ...]]:
        """The reasons of the model's score of each lead (a row of `contributions`), strongest first.

        `names` are the features of the contributions' columns, `columns` the features' values.
        """
        limit, minimum = (None, _MIN_SHOWN) if explain == "all" else (MAX_REASONS, MIN_CONTRIBUTION)
        ranked = rank_contributions(contributions, limit, minimum)
        features = {names[place] for reasons in ranked for place, _ in reasons}
        values = {name: _to_list(columns[name]) for name in features}

        def reason(name: str, weight: float, value: ReasonValue) -> Reason:
            json_value = None if value != value else value  # JSON has no nan
            if isinstance(json_value, str):
                json_value = describe_text(self.table, name, json_value, self.lang, weight)
            return Reason(name, self._reason(name, json_value), round(weight, _DIGITS), json_value)

        return [
            tuple(reason(names[i], weight, values[names[i]][row]) for i, weight in reasons)
            for row, reasons in enumerate(ranked)
        ]

    @cached_property
    def _reason(self) -> Callable[[str, ReasonValue], str]:
        """The cached function from a feature and its value to the reason's text."""

        @lru_cache(maxsize=CACHED_REASONS)
        def reason(name: str, value: ReasonValue) -> str:
            text = format_value(self.table, name, value, self.lang)
            return translate("reason", self.lang, label=self.labels[name], value=text)

        return reason

    @cached_property
    def _by_points(self) -> list[int]:
        """The places of the card's rows, most points first."""
        rows = self._rules[0]
        return sorted(range(len(rows)), key=lambda place: -abs(rows[place].weight))

    @cached_property
    def _rules(self) -> tuple[tuple[Reason, ...], ...]:
        card = self.card
        return tuple(rule_reasons(rules, self.lang) for rules in (card.rows, card.triggers, card.exclusions))

    def _action_text(self, code: int, prompt: int) -> ActionText:
        """The text of the waiting prompt, if any, then that of the action."""
        action, texts, prompt_name = action_of(self.card, code), [], None
        if prompt >= 0:
            prompt_name, waiting_prompt = list(self.card.prompts.items())[prompt]
            texts.append(waiting_prompt.text.text(self.lang))
        texts.append(action.text.text(self.lang))
        text = ("" if self.lang == "ja" else " ").join(texts)
        content = None if action.content is None else action.content.text(self.lang)
        return ActionText(action.kind, action.owner, text, content, prompt_name)


def _to_list(column: Column) -> list[ReasonValue]:
    return list(column.to_list()) if isinstance(column, Texts) else column.tolist()
