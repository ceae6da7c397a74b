"""The page of `hotlead compare`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from features.clock import iso
from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.score import Told
from scoring.evaluation.comparison import SIDES, Compared, Dispute, Part
from scoring.pages.cells import difference_cell, outcome, percent, stage_names
from scoring.pages.charts import bars_with_intervals
from scoring.pages.page import Block, Cell, Chart, Heading, Page, Table, Text, Value
from scoring.pages.tables import (
    agreement_table,
    band_names,
    figures_table,
    rates_table,
    verdict,
)
from scoring.statistics.paired_differences import volume
from scoring.texts import say

_MOST_SHOWN, _REASONS = 12, 3


def comparison_page(told: Compared, table: FeatureTable, name: str, model: str, lang: Language) -> Page:
    """All of the comparison. `model` is the model's version, `table` has the words of features."""
    return Page(
        say("compare_title", lang, name=name),
        tuple(_blocks(told, table, model, lang)),
        lang,
    )


def comparison_verdict(told: Compared, lang: Language) -> str:
    """Who should be followed, in one plain sentence."""
    count = f"{volume(told.called):,}"
    return verdict("compare", told.differences["win_rate"], lang, volume=count)


def _blocks(told: Compared, table: FeatureTable, model: str, lang: Language) -> Iterator[Block]:
    yield Text(_summary(told, model, lang))
    yield Text(comparison_verdict(told, lang), "verdict")
    if not told.called.any():
        yield Text(say("nobody_hot", lang), "warning")
    yield Text(say("interval_note", lang), "note")
    yield Heading(say("compare_figures", lang))
    yield Text(say("compare_figures_note", lang), "note")
    model_name, rules_name, _ = _sides(lang)
    yield figures_table(told.differences, model_name, rules_name, lang)
    yield Heading(say("compare_stages", lang))
    stages = dict(zip(_sides(lang), told.stages.values(), strict=True))
    yield rates_table(say("stage", lang), stage_names(lang), stages, lang)
    yield Heading(say("compare_agreement", lang))
    yield agreement_table(told.agreement, say("compare_agreement_corner", lang), lang)
    yield Heading(say("compare_bands", lang))
    bands = dict(zip(_sides(lang)[:2], told.bands.values(), strict=False))
    yield rates_table(say("band", lang), band_names(), bands, lang)
    axes = say("band", lang), say("win_rate", lang)
    yield Chart(lambda: bars_with_intervals(band_names(), bands, *axes))
    yield Heading(say("compare_segments", lang))
    yield _parts(told.segments, ("compare_segment", "compare_value"), table, lang)
    if told.months:
        yield Heading(say("compare_months", lang))
        yield _parts(told.months, ("compare_month",), table, lang)
    yield Heading(say("compare_disputes", lang))
    yield _disputes(told, table, lang)


def _summary(told: Compared, model: str, lang: Language) -> str:
    leads, won = told.leads
    return say(
        "compare_summary",
        lang,
        count=f"{len(told.evidence):,}",
        leads=f"{leads:,}",
        won=f"{won:,}",
        model=model,
        card=told.card.version,
    )


def _sides(lang: Language) -> list[str]:
    return [say(f"side_{side}", lang) for side in SIDES]


def _parts(parts: Sequence[Part], names: Sequence[str], table: FeatureTable, lang: Language) -> Table:
    rows: list[tuple[Cell, ...]] = []
    columns = (*names, "leads", "win_rate", "compare_auc_difference", "compare_win_rate_difference")
    for part in parts:
        value = table.vocabulary.word(f"{part.name}={part.value}", lang)
        value = part.value if value.startswith(f"{part.name}=") else value
        head = (table.vocabulary.word(part.name, lang), value) if len(names) > 1 else (part.value,)
        rows.append(
            (
                *head,
                f"{part.all.count:,}",
                percent(part.all.value),
                difference_cell("roc_auc", part.differences["roc_auc"]),
                difference_cell("win_rate", part.differences["win_rate"]),
            )
        )
    return Table(tuple(say(c, lang) for c in columns), tuple(rows), say("compare_too_few", lang))


def _disputes(told: Compared, table: FeatureTable, lang: Language) -> Table:
    columns = ("compare_dispute_lead", "outcome", "side_model", "side_rules")
    rows = [_dispute(told, d, table, lang) for d in told.disputes[:_MOST_SHOWN]]
    return Table(tuple(say(c, lang) for c in columns), tuple(rows), say("compare_too_few", lang))


def _dispute(told: Compared, dispute: Dispute, table: FeatureTable, lang: Language) -> tuple[Cell, ...]:
    names = stage_names(lang)
    when = iso(dispute.moment)[:10] if told.evidence.dated else ""
    model = f"{dispute.model_score} {names[dispute.model_stage]} ({percent(dispute.probability)})"
    rules = f"{dispute.rules_score} {names[dispute.rules_stage]}"
    why = told.model_reasons(dispute.row, table, lang), told.rules_reasons(dispute.row, lang)
    return (
        Value(dispute.lead, when),
        outcome(dispute.won, lang),
        _said(model, _reasons(why[0], "+.2f") or [say("compare_dispute_none", lang)]),
        _said(rules, _reasons(why[1], "+.0f") or [say("rules_none", lang)]),
    )


def _said(head: str, reasons: Sequence[str]) -> str:
    """What a side said, and why: a line a reason."""
    return "\n".join([head, *reasons])


def _reasons(reasons: Sequence[Told], form: str) -> list[str]:
    return [
        f"{reason.text} ({reason.weight:{form}})" if reason.weight else reason.text
        for reason in reasons[:_REASONS]
    ]
