"""The scorecard: the definition of a hot lead that sales and marketing share.

The content of a scorecard.toml, frozen and validated. Two groups of rows give points: `fit` (who the lead
is) and `intent` (what it does). The decay of interest is part of the features (windows, `decayed`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import Field, StringConstraints, model_validator

from features.errors import InvalidValue
from features.kinds import Language
from features.toml import Strict, TextValue
from scoring.scorecard.office_hours import OfficeHours

Stage: TypeAlias = Literal["cold", "warm", "hot"]
STAGES: tuple[Stage, ...] = get_args(Stage)
COLD, WARM, HOT = range(3)
Hours: TypeAlias = Annotated[float, Field(gt=0, le=24 * 365)]
_NonEmptyText: TypeAlias = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class LocalizedText(Strict):
    """A text that people read, in both languages."""

    en: _NonEmptyText = Field(description="The English text.")
    ja: _NonEmptyText = Field(description="The Japanese text.")

    def text(self, lang: Language) -> str:
        return self.ja if lang == "ja" else self.en


class Condition(Strict):
    """A condition on one feature. A missing value never holds."""

    feature: str = Field(description="The name of a feature in crm.toml.")
    at_least: float | None = Field(
        None, allow_inf_nan=False, description="Holds where the number is this or more."
    )
    at_most: float | None = Field(
        None, allow_inf_nan=False, description="Holds where the number is this or less."
    )
    one_of: Annotated[tuple[TextValue, ...], Field(min_length=1)] | None = Field(
        None,
        description="Holds where the text, or one of the values of a multi-select list, is one of these.",
    )

    @model_validator(mode="after")
    def _check_one_kind(self) -> Self:
        number = self.at_least is not None or self.at_most is not None
        if number == (self.one_of is not None):
            raise InvalidValue("give either `at_least` and/or `at_most`, or `one_of`")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise InvalidValue(
                "at_least = {at_least:g} lies above at_most = {at_most:g}: no number can hold",
                at_least=self.at_least,
                at_most=self.at_most,
            )
        return self


class Rule(Strict):
    """Conditions that all must hold, and the reason that people read."""

    when: tuple[Condition, ...] = Field(min_length=1, description="Conditions; all of them must hold.")
    because: LocalizedText = Field(description="The reason as people read it, in both languages.")


class Row(Rule):
    """A rule that gives points, or takes some away."""

    points: Annotated[int, Field(ge=-1000, le=1000)] = Field(
        description="Points where all conditions hold; below 0 takes away."
    )

    @model_validator(mode="after")
    def _check_points(self) -> Self:
        if not self.points:
            raise InvalidValue("0 points do nothing; give points, or switch the row off (off = true)")
        return self


class Group(Strict):
    """One half of the points."""

    cap: Annotated[int, Field(gt=0)] | None = Field(
        None, description="The most points that the group can give."
    )
    rows: Mapping[str, Row] = Field(description="The rows by name.")

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        if not self.rows:
            raise InvalidValue("the group has no row; give it one, or leave the whole group out")
        return self

    @property
    def max_points(self) -> int:
        """The most points that a lead can get here."""
        best = sum(row.points for row in self.rows.values() if row.points > 0)
        return best if self.cap is None else min(best, self.cap)


class Bands(Strict):
    """Where warm and hot begin, in points."""

    warm: Annotated[int, Field(gt=0)] = Field(description="A lead with this many points is warm.")
    hot: Annotated[int, Field(gt=0)] = Field(
        description="A lead with this many points is hot: the threshold of a marketing qualified lead."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.warm >= self.hot:
            raise InvalidValue("warm = {warm} must lie below hot = {hot}", warm=self.warm, hot=self.hot)
        return self


class Action(Strict):
    """What to do with a lead, by whom and by when."""

    kind: str = Field(
        min_length=1, description="A short code of the action for the CRM, such as call or nurture."
    )
    owner: str = Field(
        min_length=1, description="Who does it, such as inside_sales, field_sales or marketing."
    )
    text: LocalizedText = Field(description="What to do, as its owner reads it.")
    hours: Hours | None = Field(None, description="The deadline, in hours from the scoring on.")
    business_hours: bool = Field(False, description="Count only the hours of [hours] towards the deadline.")
    content: LocalizedText | None = Field(None, description="Suggested content to send or to talk about.")


class Stages(Strict):
    """The action for each stage."""

    cold: Action = Field(description="What to do with a cold lead.")
    warm: Action = Field(description="What to do with a warm lead.")
    hot: Action = Field(description="What to do with a hot lead.")


class Prompt(Strict):
    """A first answer that is due soon after an inquiry, whatever the stage."""

    since: str = Field(description="A days_since feature: days since the inquiry that waits for an answer.")
    answered: str = Field(
        description="A days_since feature: days since the last contact. A contact that is not older "
        "than the inquiry has answered it."
    )
    hours: Hours = Field(description="The deadline, in hours from the inquiry on.")
    business_hours: bool = Field(False, description="Count only the hours of [hours] towards the deadline.")
    within_days: Annotated[float, Field(gt=0)] = Field(
        14, description="An inquiry older than this is no longer waited on: the stage's action holds."
    )
    text: LocalizedText = Field(description="What to do, as its owner reads it.")


class Policy(Strict):
    """How the model's thresholds are found on the newest closed deals."""

    policy: Literal["same_volume_as_rules", "calls_per_week", "min_win_rate", "top_share"] = Field(
        "same_volume_as_rules",
        description="same_volume_as_rules: as many hot and warm leads as the rules have; "
        "calls_per_week: so many leads turn hot in a week; min_win_rate: the largest lists whose win "
        "rate is at least so high; top_share: so large a share of the leads.",
    )
    warm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="For warm and hot together: leads a week, a win rate or a share."
    )
    hot: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="For hot: leads a week, a win rate or a share."
    )

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        same_volume = self.policy == "same_volume_as_rules"
        are_set = self.warm is not None, self.hot is not None
        if same_volume and any(are_set):
            raise InvalidValue("`warm` and `hot` do not go with same_volume_as_rules; drop them")
        if not same_volume and not all(are_set):
            raise InvalidValue("{policy} needs both `warm` and `hot`", policy=self.policy)
        if not same_volume:
            self._check_order()
        return self

    def _check_order(self) -> None:
        assert self.warm is not None
        assert self.hot is not None
        if self.policy != "calls_per_week" and max(self.warm, self.hot) > 1:
            raise InvalidValue("{policy}: `warm` and `hot` are shares between 0 and 1", policy=self.policy)
        rising = self.policy == "min_win_rate"
        if not (self.warm < self.hot if rising else self.warm > self.hot):
            raise InvalidValue(
                "{policy}: warm = {warm:g} must lie below hot = {hot:g}"
                if rising
                else "{policy}: warm = {warm:g} must lie above hot = {hot:g}",
                policy=self.policy,
                warm=self.warm,
                hot=self.hot,
            )


class Scorecard(Strict):
    """The content of a scorecard.toml."""

    profile: str | None = Field(
        None, description="A profile to start from: b2b_saas, real_estate or online_shop."
    )
    hot_is: Literal["mql", "sql"] = Field(
        "mql",
        description="mql: a lead at the hot threshold is hot. sql: it is proposed to inside sales, and "
        "only a person's acceptance makes it hot.",
    )
    bands: Bands = Field(description="Where warm and hot begin, in points.")
    fit: Group | None = Field(None, description="Rows on who the lead is.")
    intent: Group | None = Field(None, description="Rows on what the lead does.")
    triggers: Mapping[str, Rule] = Field(default_factory=dict, description="Hot at once, by name.")
    exclusions: Mapping[str, Rule] = Field(default_factory=dict, description="Never hot, by name.")
    stages: Stages = Field(description="The action for each stage.")
    hand_over: Action | None = Field(
        None, description='The action for a lead that waits for acceptance; needed by hot_is = "sql".'
    )
    prompts: Mapping[str, Prompt] = Field(
        default_factory=dict, description="Answers that are due whatever the stage, by name."
    )
    hours: OfficeHours = Field(
        default_factory=OfficeHours, description="When the office is open, for business hours."
    )
    thresholds: Policy = Field(default_factory=Policy, description="How the model's thresholds are found.")
    learnt_through: int | None = Field(
        None,
        description="Written by `hotlead rules suggest`: the moment of the newest deal that the rows were "
        "learnt from (ms UTC, or its rank if deals have no dates). On older deals the rows prove nothing, "
        "so a model gives them weight only for what they predict later.",
    )

    @model_validator(mode="after")
    def _check_unique_names(self) -> Self:
        twice = set(self.fit.rows) & set(self.intent.rows) if self.fit and self.intent else set()
        if twice:
            name = min(twice)
            raise InvalidValue(
                "[fit.rows.{name}] and [intent.rows.{name}] share a name; rename one", name=name
            )
        return self

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        if self.hot_is == "sql" and self.hand_over is None:
            raise InvalidValue('hot_is = "sql" needs the action [hand_over]')
        if self.rows and self.max_points < self.bands.hot:
            raise InvalidValue(
                "[bands] hot = {hot} is out of reach: the rows give at most {max_points} points",
                hot=self.bands.hot,
                max_points=self.max_points,
            )
        return self

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The rows of both groups by name, fit first."""
        return {name: row for group in self.groups for name, row in group.rows.items()}

    @property
    def groups(self) -> tuple[Group, ...]:
        return tuple(g for g in (self.fit, self.intent) if g is not None)

    @property
    def max_points(self) -> int:
        """The most points that a lead can get."""
        return sum(group.max_points for group in self.groups)

    @cached_property
    def version(self) -> str:
        """A hash of the content of the card."""
        content = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def rules(self) -> Iterator[tuple[str, str, Rule]]:
        """Every rule: its table, its name, and the rule."""
        for table, group in (("fit.rows", self.fit), ("intent.rows", self.intent)):
            for name, row in (group.rows if group else {}).items():
                yield table, name, row
        for table, rules in (("triggers", self.triggers), ("exclusions", self.exclusions)):
            for name, rule in rules.items():
                yield table, name, rule

    @property
    def features(self) -> set[str]:
        """The names of the features in the card's rules and prompts."""
        rule_features = {c.feature for _, _, rule in self.rules() for c in rule.when}
        return rule_features | {name for p in self.prompts.values() for name in (p.since, p.answered)}

    def to_dict(self) -> dict[str, Any]:
        """The card in plain JSON types; `parse_card` reads it back."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"profile"})
