"""The page of `hotlead promote`: every check of the gate with its figures."""

from __future__ import annotations

from collections.abc import Sequence

from features.kinds import Language
from scoring.evaluation.gate import Check
from scoring.pages.cells import titles
from scoring.pages.formats import NONE
from scoring.pages.page import Block, Cell, CellValue, Page, Table, Text
from scoring.texts import translate


def gate_page(checks: Sequence[Check], summary: str, outcome: str, lang: Language) -> Page:
    """The page with the table of checks; `outcome` is the sentence about the result."""
    blocks: list[Block] = [Text(summary), gate_table(checks, lang), Text(outcome, "verdict")]
    if any(check.figures.get("is_scorecard") for check in checks):
        blocks.append(Text(translate("model_is_scorecard", lang)))
    return Page(translate("gate_title", lang), tuple(blocks), lang)


def gate_table(checks: Sequence[Check], lang: Language) -> Table:
    """Every check, whether it passed, and the gain."""
    columns = titles(("gate_check", "gate_result", "gate_gain"), lang)
    return Table(columns, tuple(_row(check, lang) for check in checks))


def explain_failures(checks: Sequence[Check], lang: Language) -> list[str]:
    """A sentence for each check that failed."""
    return list(dict.fromkeys(_explain_failure(check, lang) for check in checks if not check.passed))


def _explain_failure(check: Check, lang: Language) -> str:
    if check.figures.get("no_card"):
        return translate("gate_no_scorecard_failed", lang)
    if check.figures.get("too_few"):
        return _other_demand(check, lang)
    return translate(f"gate_{check.name}_failed", lang, **_format_figures(check))


def _row(check: Check, lang: Language) -> tuple[Cell, ...]:
    demand = _other_demand(check, lang) or translate(f"gate_{check.name}", lang, **_format_figures(check))
    return demand, translate("gate_passed" if check.passed else "gate_failed", lang), _gain_cell(check)


def _other_demand(check: Check, lang: Language) -> str:
    """The text if there is nothing to compare to, or the model is the scorecard; otherwise empty."""
    if check.figures.get("too_few"):
        return translate("gate_champion_too_few", lang, **_format_figures(check))
    if check.figures.get("is_scorecard"):
        return translate("gate_is_scorecard", lang)
    return translate("gate_no_scorecard", lang) if check.figures.get("no_card") else ""


def _format_figures(check: Check) -> dict[str, object]:
    return {k: f"{v:,}" if isinstance(v, int) else v for k, v in check.figures.items()}


def _gain_cell(check: Check) -> Cell:
    gain, form = check.gain, "z.4f" if check.name == "calibration" else "+z.4f"
    if gain is None:
        return NONE
    return CellValue(f"{gain.value:{form}}", f"[{gain.low:{form}}, {gain.high:{form}}]")
