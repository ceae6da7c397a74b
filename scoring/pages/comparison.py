"""The page of `hotlead compare`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from features.clock import iso
from features.kinds import Language
from features.table import FeatureTable
from scoring.decision.score import Reason
from scoring.evaluation.comparison import SIDES, DisputedDeal, ModelVsRules, SegmentComparison
from scoring.pages.cells import difference_cell, outcome_text, stage_names, titles
from scoring.pages.charts import bars_with_intervals
from scoring.pages.formats import format_share
from scoring.pages.page import Block, Cell, CellValue, Chart, Heading, Page, Table, Text
from scoring.pages.segments import segment_blocks
from scoring.pages.tables import agreement_table, band_names, figures_table, rates_table, verdict
from scoring.statistics.paired_differences import count_calls
from scoring.texts import translate

_MAX_DISPUTES, _REASONS = 12, 3


def comparison_page(
    comparison: ModelVsRules, table: FeatureTable, name: str, model: str, lang: Language
) -> Page:
    """The page of a comparison. `model` is the model's version; `table` has the labels of features."""
    title = translate("compare_title", lang, name=name)
    return Page(title, tuple(_blocks(comparison, table, model, lang)), lang)


def comparison_verdict(comparison: ModelVsRules, lang: Language) -> str:
    """Which side is better, in one sentence; or that the model is the scorecard, or calls the same leads."""
    if comparison.is_scorecard:
        return translate("model_is_scorecard", lang)
    count, rates = f"{count_calls(comparison.called):,}", comparison.differences["win_rate"]
    if rates.difference.low == rates.difference.value == rates.difference.high == 0:
        return translate("compare_verdict_same", lang, volume=count, new=format_share(rates.new.value))
    return verdict("compare", rates, lang, volume=count)


def _blocks(comparison: ModelVsRules, table: FeatureTable, model: str, lang: Language) -> Iterator[Block]:
    yield Text(_summary(comparison, model, lang))
    yield Text(comparison_verdict(comparison, lang), "verdict")
    if not comparison.called.any():
        yield Text(translate("nobody_hot", lang), "warning")
    yield Text(translate("interval_note", lang), "note")
    yield Heading(translate("compare_figures", lang))
    yield Text(translate("compare_figures_note", lang), "note")
    model_name, rules_name, _ = _sides(lang)
    yield figures_table(comparison.differences, model_name, rules_name, lang)
    yield Heading(translate("compare_stages", lang))
    stages = dict(zip(_sides(lang), comparison.stages.values(), strict=True))
    yield rates_table(translate("stage", lang), stage_names(lang), stages, lang)
    yield Heading(translate("compare_agreement", lang))
    yield agreement_table(comparison.agreement, translate("compare_agreement_corner", lang), lang)
    yield Heading(translate("compare_bands", lang))
    bands = dict(zip(_sides(lang)[:2], comparison.bands.values(), strict=False))
    yield rates_table(translate("band", lang), band_names(), bands, lang)
    axes = translate("band", lang), translate("win_rate", lang)
    yield Chart(lambda: bars_with_intervals(band_names(), bands, *axes))
    yield Heading(translate("compare_segments", lang))
    yield _parts(comparison.segments, ("compare_segment", "compare_value"), table, lang)
    yield from segment_blocks(comparison.segment_quality, table.vocabulary, lang)
    if comparison.months:
        yield Heading(translate("compare_months", lang))
        yield _parts(comparison.months, ("compare_month",), table, lang)
    yield Heading(translate("compare_disputes", lang))
    yield _disputes_table(comparison, table, lang)


def _summary(comparison: ModelVsRules, model: str, lang: Language) -> str:
    leads, won = comparison.leads
    return translate(
        "compare_summary",
        lang,
        count=f"{len(comparison.evidence):,}",
        leads=f"{leads:,}",
        won=f"{won:,}",
        model=model,
        card=comparison.card.version,
    )


def _sides(lang: Language) -> list[str]:
    return [translate(f"side_{side}", lang) for side in SIDES]


def _parts(
    parts: Sequence[SegmentComparison], names: Sequence[str], table: FeatureTable, lang: Language
) -> Table:
    rows: list[tuple[Cell, ...]] = []
    columns = (*names, "leads", "win_rate", "compare_auc_difference", "compare_win_rate_difference")
    for part in parts:
        value = table.vocabulary.value(part.name, part.value, lang)
        head = (table.vocabulary.word(part.name, lang), value) if len(names) > 1 else (part.value,)
        gains = (difference_cell(name, part.differences[name]) for name in ("roc_auc", "win_rate"))
        rows.append((*head, f"{part.all.count:,}", format_share(part.all.value), *gains))
    return Table(titles(columns, lang), tuple(rows), translate("compare_too_few", lang))


def _disputes_table(comparison: ModelVsRules, table: FeatureTable, lang: Language) -> Table:
    columns = ("compare_dispute_lead", "outcome", "side_model", "side_rules")
    rows = [_dispute_cells(comparison, d, table, lang) for d in comparison.disputes[:_MAX_DISPUTES]]
    return Table(titles(columns, lang), tuple(rows), translate("compare_too_few", lang))


def _dispute_cells(
    comparison: ModelVsRules, dispute: DisputedDeal, table: FeatureTable, lang: Language
) -> tuple[Cell, ...]:
    names = stage_names(lang)
    date = iso(dispute.moment)[:10] if comparison.evidence.dated else ""
    model = f"{dispute.model_score} {names[dispute.model_stage]} ({format_share(dispute.probability)})"
    rules = f"{dispute.rules_score} {names[dispute.rules_stage]}"
    why = comparison.model_reasons(dispute.row, table, lang), comparison.rules_reasons(dispute.row, lang)
    return (
        CellValue(dispute.lead, date),
        outcome_text(dispute.won, lang),
        _side_text(model, why[0], "+.2f", translate("compare_dispute_none", lang)),
        _side_text(rules, why[1], "+.0f", translate("rules_none", lang)),
    )


def _side_text(head: str, reasons: Sequence[Reason], form: str, without: str) -> str:
    """The score of a side and its strongest reasons, one per line; the text `without` if it has none."""
    shown = [f"{r.text} ({r.weight:{form}})" if r.weight else r.text for r in reasons[:_REASONS]]
    return "\n".join([head, *(shown or [without])])
