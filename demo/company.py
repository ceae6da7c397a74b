"""The tables of company.toml: kinds of activity, channels, and the words of the CRM."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

COMPANY = tomllib.loads(Path(__file__).with_name("company.toml").read_text(encoding="utf-8"))
KINDS = tuple(COMPANY["kinds"])
CODE = {kind: code for code, kind in enumerate(KINDS)}


@dataclass(frozen=True, kw_only=True)
class Habit:
    """An independent kind: `count` per lead at neutral traits, with log `slopes` on the traits.

    Ages follow a gamma distribution with `mean_days` and `shape`; `ripens` stretches it to the
    lead's own pace and, with intent, moves it later, so that keen leads accelerate.
    """

    kind: str
    count: float
    slopes: Mapping[str, float]
    mean_days: float = 30.0
    shape: float = 0.7
    ripens: bool = False


@dataclass(frozen=True, kw_only=True)
class Sequel:
    """A kind that follows another: its number per parent, log `slopes` on the traits, and its delay.

    `within_seconds` draws a short delay; otherwise whole days with mean `mean_days`.
    """

    parent: str
    kind: str
    count: float
    slopes: Mapping[str, float]
    mean_days: float = 0.0
    within_seconds: int = 0
    at_most_once: bool = True


HABITS = tuple(Habit(**row) for row in COMPANY["habits"])
SEQUELS = tuple(Sequel(**row) for row in COMPANY["sequels"])
