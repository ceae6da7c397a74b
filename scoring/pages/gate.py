"""The page of `hotlead promote`: every demand of the gate and what the model showed."""

from __future__ import annotations

from collections.abc import Sequence

from features.kinds import Language
from scoring.evaluation.gate import Check
from scoring.pages.cells import NONE
from scoring.pages.page import Cell, Page, Table, Text, Value
from scoring.texts import say


def gate_page(checks: Sequence[Check], summary: str, outcome: str, lang: Language) -> Page:
    """The checks as a table. `outcome` says what follows from them."""
    told = Text(summary), gate_table(checks, lang), Text(outcome, "verdict")
    return Page(say("gate_title", lang), told, lang)


def gate_table(checks: Sequence[Check], lang: Language) -> Table:
    """Every demand, whether it is met, and by how much."""
    columns = tuple(say(c, lang) for c in ("gate_check", "gate_result", "gate_gain"))
    return Table(columns, tuple(_row(check, lang) for check in checks))


def reasons(checks: Sequence[Check], lang: Language) -> list[str]:
    """Why a model is refused: a sentence for each check that failed."""
    told = [
        _nothing_to_beat(c, lang) or say(f"gate_{c.name}_failed", lang, **_shown(c))
        for c in checks
        if not c.passed
    ]
    return list(dict.fromkeys(told))


def _row(check: Check, lang: Language) -> tuple[Cell, ...]:
    demand = _nothing_to_beat(check, lang) or say(f"gate_{check.name}", lang, **_shown(check))
    return demand, say("gate_passed" if check.passed else "gate_failed", lang), _figure(check)


def _nothing_to_beat(check: Check, lang: Language) -> str:
    """That there is nothing to judge against; empty where there is."""
    if check.figures.get("too_few"):
        return say("gate_champion_too_few", lang, **_shown(check))
    return say("gate_no_scorecard", lang) if check.figures.get("no_card") else ""


def _shown(check: Check) -> dict[str, object]:
    return {k: f"{v:,}" if isinstance(v, int) else v for k, v in check.figures.items()}


def _figure(check: Check) -> Cell:
    at, form = check.gain, "z.4f" if check.name == "calibration" else "+z.4f"
    if at is None:
        return NONE
    return Value(f"{at.value:{form}}", f"[{at.low:{form}}, {at.high:{form}}]")
