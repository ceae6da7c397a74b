"""The table of a model's calibration and ranking by segment."""

from __future__ import annotations

from collections.abc import Sequence

from features.kinds import Language
from features.moments import MIN_WINS
from features.table import Vocabulary
from scoring.evaluation.segments import SegmentQuality
from scoring.pages.cells import figure_cell, points_cell, titles
from scoring.pages.page import Block, Cell, CellValue, Heading, Table, Text
from scoring.texts import translate

_COLUMNS = (
    "compare_segment",
    "compare_value",
    "leads",
    "segments_predicted",
    "segments_actual",
    "segments_gap",
    "roc_auc",
    "lift_top_10",
)


def segment_blocks(
    segments: Sequence[SegmentQuality], vocabulary: Vocabulary, lang: Language
) -> tuple[Block, ...]:
    """The heading, what the figures mean, and the table; nothing without segments."""
    if not segments:
        return ()
    note = translate("segments_note", lang, least=MIN_WINS)
    return (
        Heading(translate("segments_title", lang)),
        Text(note, "note"),
        segments_table(segments, vocabulary, lang),
    )


def segments_table(segments: Sequence[SegmentQuality], vocabulary: Vocabulary, lang: Language) -> Table:
    """By segment and value: counts, predicted and actual win rate, their gap, and the ranking."""
    rows = [_row(quality, vocabulary, lang) for quality in segments]
    return Table(titles(_COLUMNS, lang), tuple(rows), translate("compare_too_few", lang))


def _row(quality: SegmentQuality, vocabulary: Vocabulary, lang: Language) -> tuple[Cell, ...]:
    won, leads = f"{quality.won_leads:,}", f"{quality.leads:,}"
    head = (
        vocabulary.word(quality.segment, lang),
        vocabulary.value(quality.segment, quality.value, lang),
        translate("compare_won_of_closed", lang, won=won, count=leads),
    )
    if not quality.is_measurable:
        return *head, translate("segments_too_few", lang), *[CellValue("")] * 4
    return (
        *head,
        figure_cell("win_rate", quality.predicted),
        figure_cell("win_rate", quality.actual),
        points_cell(quality.gap),
        figure_cell("roc_auc", quality.roc_auc),
        figure_cell("lift", quality.lift),
    )
