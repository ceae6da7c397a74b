"""The page of `hotlead rules replay`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from features.clock import MS_PER_DAY, iso
from features.kinds import Language
from scoring.evaluation.replay import CARDS, Moved, Replayed, RowEffect
from scoring.pages.cells import (
    NONE,
    count_cell,
    lift_cell,
    outcome,
    rate_cell,
    signed_cell,
    stage_names,
)
from scoring.pages.charts import bars_with_intervals, lines
from scoring.pages.page import Block, Cell, Chart, Heading, Page, Table, Text, Value
from scoring.pages.tables import agreement_table, band_names, figures_table, verdict
from scoring.scorecard.scorecard import HOT
from scoring.statistics.rates import Rate
from scoring.texts import say

_WEEK, _MOST_TICKS = 7, 5

if TYPE_CHECKING:
    import plotly.graph_objects as go


def replay_page(told: Replayed, lang: Language) -> Page:
    """All of the replay."""
    title = say("replay_title", lang)
    return Page(title, tuple(_blocks(told, lang)), lang)


def _blocks(told: Replayed, lang: Language) -> Iterator[Block]:
    yield from replay_in_brief(told, lang)
    yield Heading(say("replay_rows", lang))
    yield Text(say("replay_rows_note", lang), "note")
    yield _rows(told, lang)
    yield Heading(say("replay_bands", lang))
    bands = dict(zip(_cards(lang), told.bands.values(), strict=True))
    yield _by_card(say("band", lang), band_names(), told.bands, lang)
    axes = say("band", lang), say("win_rate", lang)
    yield Chart(lambda: bars_with_intervals(band_names(), bands, *axes))
    if told.weekly_hot:
        yield Heading(say("replay_weekly", lang))
        yield Text(say("replay_weekly_note", lang), "note")
        yield _weekly(told, lang)
        yield Chart(lambda: _weekly_chart(told, lang))


def replay_in_brief(told: Replayed, lang: Language) -> Iterator[Block]:
    """What takes no time to work out: who wins, the figures, the stages, and who moves."""
    yield Text(_summary(told, lang))
    yield Text(verdict("replay", told.differences["win_rate"], lang), "verdict")
    yield Text(_never_hot(told, lang))
    if told.present.rows and not told.stages["present"][HOT].count:
        yield Text(say("nobody_hot", lang), "warning")
    if not told.present.rows:
        yield Text(say("replay_no_present", lang), "warning")
    if not told.evidence.scores:
        yield Text(say("replay_all_deals", lang), "warning")
    yield Text(say("interval_note", lang), "note")
    yield Heading(say("replay_figures", lang))
    present, new = _cards(lang)
    yield figures_table(told.differences, new, present, lang)
    yield Heading(say("replay_stages", lang))
    yield _stages(told, lang)
    yield Heading(say("replay_moves", lang))
    yield agreement_table(told.moves, say("replay_moves_corner", lang), lang)
    yield Heading(say("replay_moved", lang))
    yield _moved(told, lang)


def _summary(told: Replayed, lang: Language) -> str:
    lead = told.evidence.lead
    leads, won = len(set(lead.tolist())), len(set(lead[told.evidence.won].tolist()))
    return say(
        "replay_summary",
        lang,
        count=f"{len(lead):,}",
        leads=f"{leads:,}",
        won=f"{won:,}",
        present=told.present.version,
        new=told.new.version,
    )


def _never_hot(told: Replayed, lang: Language) -> str:
    (present, won), (new, _) = (told.never_hot[card] for card in CARDS)
    return say("replay_never_hot", lang, present=f"{present:,}", new=f"{new:,}", won=f"{won:,}")


def _cards(lang: Language) -> list[str]:
    return [say(f"replay_{card}", lang) for card in CARDS]


def _stages(told: Replayed, lang: Language) -> Table:
    return _by_card(say("stage", lang), stage_names(lang), told.stages, lang)


def _by_card(what: str, names: Sequence[str], told: Mapping[str, Sequence[Rate]], lang: Language) -> Table:
    """Leads, win rate and lift by both cards; the last name first."""
    head: list[str] = [what]
    for name in _cards(lang):
        head += [
            say("reason", lang, label=name, value=say(what, lang)) for what in ("leads", "win_rate", "lift")
        ]
    rows: list[tuple[Cell, ...]] = []
    for place, shown in reversed(list(enumerate(names))):
        rates = [told[card][place] for card in CARDS]
        rows.append((shown, *(cell for rate in rates for cell in _lifted(rate))))
    return Table(tuple(head), tuple(rows))


def _lifted(rate: Rate) -> tuple[Cell, Cell, Cell]:
    """How many leads, their win rate, and that over the win rate of all."""
    return f"{rate.count:,}", rate_cell(rate), lift_cell(rate)


def _moved(told: Replayed, lang: Language) -> Table:
    names, dated = stage_names(lang), told.evidence.dated
    columns = ("compare_dispute_lead", "replay_before", "replay_after", "outcome", "replay_amount")

    def row(moved: Moved) -> tuple[Cell, ...]:
        when = iso(moved.moment)[:10] if dated else ""
        amount = NONE if moved.amount != moved.amount else f"{moved.amount:,.0f}"
        return (
            Value(moved.lead, when),
            names[moved.before],
            names[moved.after],
            outcome(moved.won, lang),
            amount,
        )

    rows, count = tuple(row(moved) for moved in told.moved), told.moved_leads
    more = say("replay_moved_more", lang, shown=len(rows), count=f"{count:,}")
    return Table(
        tuple(say(c, lang) for c in columns),
        rows,
        say("replay_moved_none", lang),
        more if count > len(rows) else "",
    )


def _rows(told: Replayed, lang: Language) -> Table:
    columns = (
        "rules_reason",
        "rules_points",
        "replay_holds",
        "win_rate",
        "replay_alone",
        "replay_adds",
    )
    rows = tuple(_effect(told, effect, lang) for effect in told.rows)
    return Table(tuple(say(c, lang) for c in columns), rows, say("rules_none", lang))


def _effect(told: Replayed, effect: RowEffect, lang: Language) -> tuple[Cell, ...]:
    rule = next(r for table, name, r in told.new.rules() if (table, name) == (effect.table, effect.name))
    points = f"{effect.points:+d}" if effect.points else say(effect.table, lang)
    return (
        rule.because.text(lang),
        points,
        f"{effect.holds.count:,}",
        rate_cell(effect.holds),
        count_cell(effect.decides, lang),
        signed_cell(effect.adds),
    )


def _weekly(told: Replayed, lang: Language) -> Table:
    present, new = (told.weekly_hot[card] for card in CARDS)
    rows = tuple((week, f"{count:,}", f"{new.get(week, 0):,}") for week, count in present.items())
    return Table((say("replay_week", lang), *_cards(lang)), rows)


def _weekly_chart(told: Replayed, lang: Language) -> go.Figure:
    weeks = list(told.weekly_hot["present"])
    series = {
        name: [float(told.weekly_hot[card].get(week, 0)) for week in weeks]
        for name, card in zip(_cards(lang), CARDS, strict=True)
    }
    figure = lines(weeks, series, say("leads", lang))
    step = _WEEK * max(1, len(weeks) // _MOST_TICKS)
    return figure.update_xaxes(tickformat="%Y-%m-%d", tick0=weeks[0], dtick=step * MS_PER_DAY)
