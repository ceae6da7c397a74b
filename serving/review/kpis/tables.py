"""The tables and pictures of the figures that steer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serving.review.charts.charts import Bars, Figure, Series
from serving.review.kpis.definitions import BANDS, Share
from serving.review.kpis.report import Counted
from serving.review.kpis.sheet import Column, Sheet
from serving.review.web.page_request import Visit


def sheets(counted: Counted, visit: Visit) -> Iterator[Sheet]:
    """Every table, in the order of the page."""
    yield _by_month(counted, visit)
    yield _afterwards(counted, visit)
    yield _contact(counted, visit)
    yield from (_by_source(counted, column, visit) for column in counted.sources)
    yield _stages(counted, visit)
    yield _sent_back(counted, visit)
    yield _lost(counted, visit)


def pictures(counted: Counted, visit: Visit) -> list[Figure]:
    """Hot leads by month, and the win rate by the time to the first contact."""
    say, months = visit.say, counted.months
    hot = Series(say("figures_hot"), [each.hot for each in months.values()], role="model")
    won = _shares(say("figures_win"), counted.contact)
    return [
        Bars(say("figures_hot_by_month"), [*months], [hot]),
        Bars(say("figures_contact"), _band_names(visit), [won], " %"),
    ]


def _by_month(counted: Counted, visit: Visit) -> Sheet:
    say = visit.say
    rows = [
        [month, each.hot, each.acceptance, each.opportunity, each.win]
        for month, each in reversed([*counted.months.items()])
    ]
    return Sheet(
        "months",
        say("figures_months"),
        [
            Column("month", say("figures_month"), "text"),
            Column("hot_leads", say("figures_hot")),
            Column("acceptance_rate", say("figures_acceptance"), "share"),
            Column("opportunity_rate", say("opportunity_rate_word"), "share"),
            Column("win_rate", say("figures_win"), "share"),
        ],
        rows,
    )


def _afterwards(counted: Counted, visit: Visit) -> Sheet:
    say = visit.say
    rows = [[say(f"figures_step_{step}"), share] for step, share in counted.afterwards.items()]
    return Sheet(
        "afterwards",
        say("figures_afterwards"),
        [
            Column("step", say("figures_step"), "text"),
            Column("of_hot_leads", say("figures_share"), "share"),
        ],
        rows,
        say("figures_afterwards_how"),
    )


def _contact(counted: Counted, visit: Visit) -> Sheet:
    say = visit.say
    rows = [[name, share] for name, share in zip(_band_names(visit), counted.contact, strict=True)]
    how = [say("figures_contact_how")]
    if visit.house.watch.in_use.scorer.card.stages.hot.business_hours:
        how.append(say("figures_contact_office"))
    return Sheet(
        "contact",
        say("figures_contact"),
        [
            Column("first_contact", say("figures_contact_in"), "text"),
            Column("win_rate", say("figures_win"), "share"),
        ],
        rows,
        " ".join(how),
    )


def _by_source(counted: Counted, column: str, visit: Visit) -> Sheet:
    """What came of each channel, campaign, keyword or landing page, and what it cost."""
    say, what = visit.say, visit.house.crm.table.vocabulary.word(column, visit.lang)
    return Sheet(
        column,
        say("figures_by", what=what),
        [
            Column("source", what, "text"),
            Column("hot_leads", say("figures_hot")),
            Column("opportunities", say("figures_opportunities")),
            Column("wins", say("figures_wins")),
            Column("cost", say("figures_cost"), "money"),
            Column("cost_per_hot", say("figures_per_hot"), "money"),
            Column("cost_per_win", say("figures_per_win"), "money"),
        ],
        [
            [_word(visit, column, s.name), s.hot, s.opportunities, s.won, s.cost, s.per_hot, s.per_win]
            for s in counted.sources[column]
        ],
    )


def _stages(counted: Counted, visit: Visit) -> Sheet:
    say = visit.say
    rows = [[say(f"stage_{stage}"), count] for stage, count in counted.stages.items()]
    columns = [Column("stage", say("stage"), "text"), Column("leads", say("figures_leads"))]
    return Sheet("stages", say("figures_stages"), columns, rows)


def _sent_back(counted: Counted, visit: Visit) -> Sheet:
    say, numbers = visit.say, counted.definitions

    def name(version: str) -> str:
        if version not in numbers:
            return version
        return say("figures_version", number=numbers[version], version=version)

    rows = [[name(version), reason, count] for version, reason, count in counted.back]
    return Sheet(
        "sent_back",
        say("figures_back"),
        [
            Column("definition", say("figures_definition"), "text"),
            Column("reason", say("steps_reason"), "text"),
            Column("leads", say("figures_leads")),
        ],
        rows,
    )


def _lost(counted: Counted, visit: Visit) -> Sheet:
    say, rows = visit.say, [[lead] for lead in counted.lost]
    return Sheet(
        "lost_late",
        say("figures_lost", count=len(rows)),
        [Column("lead_id", say("calls_lead"), "lead")],
        rows,
        say("figures_lost_how"),
    )


def _shares(name: str, shares: Sequence[Share]) -> Series:
    ends = [share.interval for share in shares]
    return Series(
        name,
        [None if s.rate is None else 100 * s.rate for s in shares],
        [None if e is None else 100 * e[0] for e in ends],
        [None if e is None else 100 * e[1] for e in ends],
        "rules",
    )


def _band_names(visit: Visit) -> list[str]:
    within = [visit.say("figures_within", hours=f"{hours:g}") for hours in BANDS]
    return [*within, visit.say("figures_later"), visit.say("figures_never")]


def _word(visit: Visit, column: str, value: str) -> str:
    words, key = visit.house.crm.table.vocabulary, f"{column}={value}"
    if not value:
        return visit.say("missing")
    return words.word(key, visit.lang) if key in words.words else value
