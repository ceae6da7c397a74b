"""The page of `hotlead monitor`."""

from __future__ import annotations

from collections.abc import Iterator

from features.clock import iso
from features.kinds import Language
from features.moments import MIN_WINS
from features.table import FeatureTable
from scoring.evaluation.monitoring import MIN_JUDGED, Performance, in_use
from scoring.pages.cells import NONE, difference_cell, figure_cell, percent
from scoring.pages.page import Block, Cell, Facts, Heading, Page, Table, Text, Value
from scoring.statistics.drift import Shift
from scoring.texts import say
from serving.monitoring.monitor import DAYS, RULES, Monitored

MOST_FEATURES, _MOST_NAMED = 10, 5


def monitor_page(told: Monitored, table: FeatureTable, name: str, lang: Language) -> Page:
    """All of it; `table` has the words of features."""
    footer = say("monitor_as_of", lang, now=_shown(told.now))
    return Page(say("monitor_title", lang, name=name), tuple(_blocks(told, table, lang)), lang, footer)


def advice_in_words(told: Monitored, table: FeatureTable, lang: Language) -> str:
    """What to do, in a sentence or two."""
    shifted = [table.label(n, lang) for n, s in told.shifts.items() if s.much and n in table.rows]
    features = say("list_joint", lang).join(shifted[:_MOST_NAMED])
    present = in_use(told.performance, told.model)
    if told.advice == "retrain":
        why = "worse" if present and present.worse else "shifted" if shifted else "unknown"
        return say(f"monitor_retrain_{why}", lang, features=features)
    if told.advice == "too_little_known":
        won, judged = (present.won, present.judged) if present else (0, 0)
        return say(
            "monitor_too_little_known" if told.model else "monitor_no_model",
            lang,
            won=won,
            judged=judged,
            wins_missing=max(0, MIN_WINS - won),
            missing=max(0, MIN_JUDGED - judged),
            waiting=present.waiting if present else 0,
        )
    return say(f"monitor_{told.advice}", lang, features=features)


def _blocks(told: Monitored, table: FeatureTable, lang: Language) -> Iterator[Block]:
    yield Text(advice_in_words(told, table, lang), "verdict")
    yield Heading(say("monitor_versions", lang))
    yield Text(say("monitor_versions_note", lang), "note")
    yield _versions(told, lang)
    yield Heading(say("monitor_sides", lang))
    yield Text(say("monitor_sides_note", lang), "note")
    yield _sides(told, lang)
    yield Heading(say("monitor_features", lang))
    note = say("monitor_features_note", lang, count=f"{told.sampled:,}", **told.thresholds)
    yield Text(note, "note")
    yield _features(told, table, lang)
    yield Heading(say("monitor_answers", lang, days=DAYS))
    yield _answers(told, lang)
    yield Heading(say("monitor_age", lang))
    yield Facts(tuple(_ages(told, lang)))
    yield Heading(say("monitor_thresholds", lang))
    yield Facts(tuple(_thresholds(told, lang)))


def _shown(at: int | None) -> str:
    return NONE if at is None else iso(at)[:16].replace("T", " ")


def _ages(told: Monitored, lang: Language) -> Iterator[tuple[str, str]]:
    for name, at in told.newest.items():
        yield say(f"monitor_newest_{name}", lang), _shown(at)
    yield say("monitor_trained", lang), (told.trained_through or NONE)[:10]


def _thresholds(told: Monitored, lang: Language) -> Iterator[tuple[str, str]]:
    for name, value in told.thresholds.items():
        yield say(f"monitor_threshold_{name}", lang), f"{value:g}"


def _versions(told: Monitored, lang: Language) -> Table:
    columns = (
        "monitor_version",
        "monitor_leads",
        "monitor_waiting",
        "monitor_judged",
        "monitor_won",
        "monitor_told",
        "monitor_came",
        "calibration_error",
        "monitor_rules_error",
        "log_loss",
    )
    rows = tuple(_version(each, told, lang) for each in told.performance if each.card is None)
    return Table(tuple(say(c, lang) for c in columns), rows, say("monitor_nothing", lang))


def _named(each: Performance, told: Monitored, lang: Language) -> Value:
    name = say("side_rules", lang) if each.version == RULES else each.version
    small = say("monitor_present", lang) if each.version == told.model else ""
    return Value(name, small if each.card is None else say("monitor_card", lang, card=each.card))


def _version(each: Performance, told: Monitored, lang: Language) -> tuple[Cell, ...]:
    counts = (f"{n:,}" for n in (each.leads, each.waiting, each.judged, each.won))
    came: Cell = NONE if each.came is None else figure_cell("win_rate", each.came)
    loss: Cell = NONE if each.log_loss is None else figure_cell("log_loss", each.log_loss)
    chance = NONE if each.told is None else percent(each.told)
    rules: Cell = (
        NONE if each.rules_calibration is None else figure_cell("calibration_error", each.rules_calibration)
    )
    return (_named(each, told, lang), *counts, chance, came, _calibration(each, lang), rules, loss)


def _calibration(each: Performance, lang: Language) -> Cell:
    if each.calibration is None:
        return NONE
    shown = figure_cell("calibration_error", each.calibration)
    bar = say("monitor_bar", lang, bar=f"{each.calibration_bar:.3f}")
    return Value(shown.text, f"{shown.small} {bar}")


def _sides(told: Monitored, lang: Language) -> Table:
    """Model against rules at equal volume, by version and by card."""
    columns = (
        "monitor_version",
        "monitor_volume",
        "monitor_model_rate",
        "monitor_rules_rate",
        "monitor_gain",
        "monitor_model_lift",
        "monitor_rules_lift",
    )
    rows = tuple(_side(each, told, lang) for each in told.performance if each.differences)
    return Table(tuple(say(c, lang) for c in columns), rows, say("monitor_nothing", lang))


def _side(each: Performance, told: Monitored, lang: Language) -> tuple[Cell, ...]:
    assert each.differences is not None
    rate, lift = each.differences["win_rate"], each.differences["lift"]
    return (
        _named(each, told, lang),
        f"{each.volume:,}",
        figure_cell("win_rate", rate.new),
        figure_cell("win_rate", rate.old),
        difference_cell("win_rate", rate),
        figure_cell("lift", lift.new),
        figure_cell("lift", lift.old),
    )


def _features(told: Monitored, table: FeatureTable, lang: Language) -> Table:
    rows = tuple(
        (table.label(name, lang), Value(f"{shift.index:.3f}", f"≤ {shift.chance:.3f}"), _state(shift, lang))
        for name, shift in list(told.shifts.items())[:MOST_FEATURES]
        if name in table.rows
    )
    columns = tuple(say(c, lang) for c in ("monitor_feature", "monitor_index", "monitor_state"))
    return Table(columns, rows, say("monitor_nothing", lang))


def _state(shift: Shift, lang: Language) -> str:
    if shift.much:
        return say("monitor_shifted", lang)
    return say("monitor_moves" if shift.little else "monitor_stable", lang)


def _answers(told: Monitored, lang: Language) -> Table:
    total = sum(told.decided_by.values())
    rows = [
        (say(f"monitor_by_{by}", lang), f"{count:,}", f"{count / total:.1%}")
        for by, count in sorted(told.decided_by.items(), key=lambda each: -each[1])
    ]
    rows += [
        (say("monitor_fallback", lang, cause=cause), f"{count:,}", f"{count / total:.1%}")
        for cause, count in told.fallbacks.items()
    ]
    columns = tuple(say(c, lang) for c in ("monitor_decided", "monitor_count", "monitor_share"))
    return Table(columns, tuple(rows), say("monitor_nothing", lang))
