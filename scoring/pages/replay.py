"""The page of `hotlead rules replay`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from features.clock import MS_PER_DAY, iso
from features.kinds import Language
from scoring.evaluation.replay import CARDS, CardReplay, MovedLead, RowEffect
from scoring.pages.cells import (
    count_cell,
    lift_cell,
    outcome_text,
    rate_cell,
    signed_cell,
    stage_names,
    titles,
)
from scoring.pages.charts import bars_with_intervals, lines
from scoring.pages.formats import format_number
from scoring.pages.page import Block, Cell, CellValue, Chart, Heading, Page, Table, Text
from scoring.pages.tables import agreement_table, band_names, figures_table, verdict
from scoring.scorecard.scorecard import HOT
from scoring.statistics.rates import Rate
from scoring.texts import translate

_WEEK, _MAX_TICKS = 7, 5

if TYPE_CHECKING:
    import plotly.graph_objects as go


def replay_page(replay: CardReplay, lang: Language) -> Page:
    return Page(translate("replay_title", lang), tuple(_blocks(replay, lang)), lang)


def _blocks(replay: CardReplay, lang: Language) -> Iterator[Block]:
    yield from replay_in_brief(replay, lang)
    yield Heading(translate("replay_rows", lang))
    yield Text(translate("replay_rows_note", lang), "note")
    yield _rows_table(replay, lang)
    yield Heading(translate("replay_bands", lang))
    bands = dict(zip(_cards(lang), replay.bands.values(), strict=True))
    yield _by_card(translate("band", lang), band_names(), replay.bands, lang)
    axes = translate("band", lang), translate("win_rate", lang)
    yield Chart(lambda: bars_with_intervals(band_names(), bands, *axes))
    if replay.weekly_hot:
        yield Heading(translate("replay_weekly", lang))
        yield Text(translate("replay_weekly_note", lang), "note")
        yield _weekly_table(replay, lang)
        yield Chart(lambda: _weekly_chart(replay, lang))


def replay_in_brief(replay: CardReplay, lang: Language) -> Iterator[Block]:
    """The blocks that are quick to compute: verdict, figures, stages, and leads that move."""
    yield Text(_summary(replay, lang))
    yield Text(verdict("replay", replay.differences["win_rate"], lang), "verdict")
    yield Text(_never_hot(replay, lang))
    if replay.present.rows and not replay.stages["present"][HOT].count:
        yield Text(translate("nobody_hot", lang), "warning")
    if not replay.present.rows:
        yield Text(translate("replay_no_present", lang), "warning")
    if not replay.evidence.scores:
        yield Text(translate("replay_all_deals", lang), "warning")
    yield Text(translate("interval_note", lang), "note")
    yield Heading(translate("replay_figures", lang))
    present, new = _cards(lang)
    yield figures_table(replay.differences, new, present, lang)
    yield Heading(translate("replay_stages", lang))
    yield _by_card(translate("stage", lang), stage_names(lang), replay.stages, lang)
    yield Heading(translate("replay_moves", lang))
    yield agreement_table(replay.moves, translate("replay_moves_corner", lang), lang)
    yield Heading(translate("replay_moved", lang))
    yield _moved_table(replay, lang)


def _summary(replay: CardReplay, lang: Language) -> str:
    lead = replay.evidence.lead
    leads, won = len(set(lead.tolist())), len(set(lead[replay.evidence.won].tolist()))
    counts = {"count": f"{len(lead):,}", "leads": f"{leads:,}", "won": f"{won:,}"}
    return translate("replay_summary", lang, **counts, present=replay.present.version, new=replay.new.version)


def _never_hot(replay: CardReplay, lang: Language) -> str:
    (present, won), (new, _) = (replay.never_hot[card] for card in CARDS)
    return translate("replay_never_hot", lang, present=f"{present:,}", new=f"{new:,}", won=f"{won:,}")


def _cards(lang: Language) -> list[str]:
    return [translate(f"replay_{card}", lang) for card in CARDS]


def _by_card(
    column: str, names: Sequence[str], rates_by_card: Mapping[str, Sequence[Rate]], lang: Language
) -> Table:
    """Leads, win rate and lift by both cards; the last of `names` first."""
    head: list[str] = [column]
    figures = titles(("leads", "win_rate", "lift"), lang)
    for name in _cards(lang):
        head += [translate("reason", lang, label=name, value=figure) for figure in figures]
    rows: list[tuple[Cell, ...]] = []
    for place, shown in reversed(list(enumerate(names))):
        row: list[Cell] = [shown]
        for rate in (rates_by_card[card][place] for card in CARDS):
            row += [f"{rate.count:,}", rate_cell(rate), lift_cell(rate)]
        rows.append(tuple(row))
    return Table(tuple(head), tuple(rows))


def _moved_table(replay: CardReplay, lang: Language) -> Table:
    names, dated = stage_names(lang), replay.evidence.dated
    columns = ("compare_dispute_lead", "replay_before", "replay_after", "outcome", "replay_amount")

    def row(moved: MovedLead) -> tuple[Cell, ...]:
        lead = CellValue(moved.lead, iso(moved.moment)[:10] if dated else "")
        stages = names[moved.before], names[moved.after]
        return (lead, *stages, outcome_text(moved.won, lang), format_number(moved.amount))

    rows, count = tuple(row(moved) for moved in replay.moved), replay.moved_leads
    more = translate("replay_moved_more", lang, shown=len(rows), count=f"{count:,}")
    caption = more if count > len(rows) else ""
    return Table(titles(columns, lang), rows, translate("replay_moved_none", lang), caption)


def _rows_table(replay: CardReplay, lang: Language) -> Table:
    columns = ("rules_reason", "rules_points", "replay_holds", "win_rate", "replay_alone", "replay_adds")
    rows = tuple(_effect_cells(replay, effect, lang) for effect in replay.rows)
    return Table(titles(columns, lang), rows, translate("rules_none", lang))


def _effect_cells(replay: CardReplay, effect: RowEffect, lang: Language) -> tuple[Cell, ...]:
    rule = next(r for table, name, r in replay.new.rules() if (table, name) == (effect.table, effect.name))
    points = f"{effect.points:+d}" if effect.points else translate(effect.table, lang)
    holds = f"{effect.holds.count:,}", rate_cell(effect.holds)
    return rule.because.text(lang), points, *holds, count_cell(effect.decides, lang), signed_cell(effect.adds)


def _weekly_table(replay: CardReplay, lang: Language) -> Table:
    present, new = (replay.weekly_hot[card] for card in CARDS)
    rows = tuple((week, f"{count:,}", f"{new.get(week, 0):,}") for week, count in present.items())
    return Table((translate("replay_week", lang), *_cards(lang)), rows)


def _weekly_chart(replay: CardReplay, lang: Language) -> go.Figure:
    weeks = list(replay.weekly_hot["present"])
    series = {
        name: [float(replay.weekly_hot[card].get(week, 0)) for week in weeks]
        for name, card in zip(_cards(lang), CARDS, strict=True)
    }
    figure = lines(weeks, series, translate("leads", lang))
    step = _WEEK * max(1, len(weeks) // _MAX_TICKS)
    return figure.update_xaxes(tickformat="%Y-%m-%d", tick0=weeks[0], dtick=step * MS_PER_DAY)
