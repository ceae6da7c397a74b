"""The page of `hotlead monitor`."""

from __future__ import annotations

from collections.abc import Iterator

from features.clock import iso
from features.kinds import Language
from features.moments import MIN_WINS
from features.table import FeatureTable
from scoring.evaluation.monitoring import MIN_JUDGED, Performance, current_performance
from scoring.pages.cells import difference_cell, figure_cell, titles
from scoring.pages.feature_gaps import describe_gap
from scoring.pages.formats import NONE, format_share
from scoring.pages.page import Block, Cell, CellValue, Facts, Heading, Page, Table, Text
from scoring.statistics.drift import Shift
from scoring.statistics.metrics import Estimate
from scoring.texts import translate
from serving.monitoring.monitor import DAYS, RULES, MonitoringReport

MOST_FEATURES, _MOST_NAMED = 10, 5


def monitor_page(report: MonitoringReport, table: FeatureTable, name: str, lang: Language) -> Page:
    """The page of a report; `table` has the labels of features."""
    footer = translate("monitor_as_of", lang, now=_format_time(report.now))
    title = translate("monitor_title", lang, name=name)
    return Page(title, tuple(_blocks(report, table, lang)), lang, footer)


def describe_advice(report: MonitoringReport, table: FeatureTable, lang: Language) -> str:
    """The advice in a sentence or two."""
    gaps = [gap.feature for gap in report.gaps]
    shifted = [n for n, s in report.shifts.items() if s.is_shifted and n in table.rows and n not in gaps]
    labels = [table.label(name, lang) for name in (*gaps, *shifted)]
    features = translate("list_joint", lang).join(labels[:_MOST_NAMED])
    present = current_performance(report.performance, report.model)
    if report.advice == "retrain":
        why = "worse" if present and present.is_worse else "shifted" if labels else "unknown"
        return translate(f"monitor_retrain_{why}", lang, features=features)
    if report.advice == "too_little_known":
        won, judged, waiting = (present.won, present.judged, present.waiting) if present else (0, 0, 0)
        missing = {"wins_missing": max(0, MIN_WINS - won), "missing": max(0, MIN_JUDGED - judged)}
        key = "monitor_too_little_known" if report.model else "monitor_no_model"
        return translate(key, lang, won=won, judged=judged, waiting=waiting, **missing)
    return translate(f"monitor_{report.advice}", lang, features=features)


def _blocks(report: MonitoringReport, table: FeatureTable, lang: Language) -> Iterator[Block]:
    yield Text(describe_advice(report, table, lang), "verdict")
    for gap in report.gaps:
        yield Text(describe_gap(gap, table, lang), "warning")
    yield Heading(translate("monitor_versions", lang))
    yield Text(translate("monitor_versions_note", lang), "note")
    yield _versions(report, lang)
    yield Heading(translate("monitor_sides", lang))
    yield Text(translate("monitor_sides_note", lang), "note")
    yield _sides(report, lang)
    yield Heading(translate("monitor_features", lang))
    note = translate("monitor_features_note", lang, count=f"{report.sampled:,}", **report.thresholds)
    yield Text(note, "note")
    yield _features(report, table, lang)
    yield Heading(translate("monitor_answers", lang, days=DAYS))
    yield _answers(report, lang)
    yield Heading(translate("monitor_age", lang))
    yield Facts(tuple(_ages(report, lang)))
    yield Heading(translate("monitor_thresholds", lang))
    yield Facts(tuple(_thresholds(report, lang)))


def _format_time(time_ms: int | None) -> str:
    return NONE if time_ms is None else iso(time_ms)[:16].replace("T", " ")


def _ages(report: MonitoringReport, lang: Language) -> Iterator[tuple[str, str]]:
    for name, time_ms in report.newest.items():
        yield translate(f"monitor_newest_{name}", lang), _format_time(time_ms)
    yield translate("monitor_trained", lang), (report.trained_through or NONE)[:10]


def _thresholds(report: MonitoringReport, lang: Language) -> Iterator[tuple[str, str]]:
    for name, value in report.thresholds.items():
        yield translate(f"monitor_threshold_{name}", lang), f"{value:g}"


def _versions(report: MonitoringReport, lang: Language) -> Table:
    counts = ("monitor_leads", "monitor_waiting", "monitor_judged", "monitor_won")
    errors = ("calibration_error", "monitor_rules_error", "log_loss")
    columns = titles(("monitor_version", *counts, "monitor_told", "monitor_came", *errors), lang)
    rows = tuple(_version_row(p, report, lang) for p in report.performance if p.card is None)
    return Table(columns, rows, translate("monitor_nothing", lang))


def _name_version(performance: Performance, report: MonitoringReport, lang: Language) -> CellValue:
    name = translate("side_rules", lang) if performance.version == RULES else performance.version
    if performance.card is not None:
        return CellValue(name, translate("monitor_card", lang, card=performance.card))
    return CellValue(name, translate("monitor_present", lang) if performance.version == report.model else "")


def _version_row(performance: Performance, report: MonitoringReport, lang: Language) -> tuple[Cell, ...]:
    counts = (f"{n:,}" for n in (performance.leads, performance.waiting, performance.judged, performance.won))
    return (
        _name_version(performance, report, lang),
        *counts,
        format_share(performance.mean_predicted),
        _estimate_cell("win_rate", performance.observed),
        _calibration_cell(performance, lang),
        _estimate_cell("calibration_error", performance.rules_calibration),
        _estimate_cell("log_loss", performance.log_loss),
    )


def _estimate_cell(name: str, estimate: Estimate | None) -> Cell:
    return NONE if estimate is None else figure_cell(name, estimate)


def _calibration_cell(performance: Performance, lang: Language) -> Cell:
    if performance.calibration is None:
        return NONE
    shown = figure_cell("calibration_error", performance.calibration)
    bar = translate("monitor_bar", lang, bar=f"{performance.calibration_bar:.3f}")
    return CellValue(shown.text, f"{shown.small} {bar}")


def _sides(report: MonitoringReport, lang: Language) -> Table:
    """Model against rules at equal volume, by version and by card."""
    rates = ("monitor_model_rate", "monitor_rules_rate", "monitor_gain")
    lifts = ("monitor_model_lift", "monitor_rules_lift")
    columns = titles(("monitor_version", "monitor_volume", *rates, *lifts), lang)
    rows = tuple(_side_row(p, report, lang) for p in report.performance if p.differences)
    return Table(columns, rows, translate("monitor_nothing", lang))


def _side_row(performance: Performance, report: MonitoringReport, lang: Language) -> tuple[Cell, ...]:
    assert performance.differences is not None
    rate, lift = performance.differences["win_rate"], performance.differences["lift"]
    return (
        _name_version(performance, report, lang),
        f"{performance.volume:,}",
        figure_cell("win_rate", rate.new),
        figure_cell("win_rate", rate.old),
        difference_cell("win_rate", rate),
        figure_cell("lift", lift.new),
        figure_cell("lift", lift.old),
    )


def _features(report: MonitoringReport, table: FeatureTable, lang: Language) -> Table:
    shown = [(n, s) for n, s in list(report.shifts.items())[:MOST_FEATURES] if n in table.rows]
    rows = tuple((table.label(name, lang), _index_cell(shift), _state(shift, lang)) for name, shift in shown)
    columns = titles(("monitor_feature", "monitor_index", "monitor_state"), lang)
    return Table(columns, rows, translate("monitor_nothing", lang))


def _index_cell(shift: Shift) -> CellValue:
    return CellValue(f"{shift.index:.3f}", f"≤ {shift.chance:.3f}")


def _state(shift: Shift, lang: Language) -> str:
    if shift.is_shifted:
        return translate("monitor_shifted", lang)
    return translate("monitor_moves" if shift.is_moving else "monitor_stable", lang)


def _answers(report: MonitoringReport, lang: Language) -> Table:
    total = sum(report.decided_by.values())
    by_decider = sorted(report.decided_by.items(), key=lambda item: -item[1])
    counts = [(translate(f"monitor_by_{decider}", lang), count) for decider, count in by_decider]
    counts += [(translate("monitor_fallback", lang, cause=c), n) for c, n in report.fallbacks.items()]
    rows = tuple((name, f"{count:,}", f"{count / total:.1%}") for name, count in counts)
    columns = titles(("monitor_decided", "monitor_count", "monitor_share"), lang)
    return Table(columns, rows, translate("monitor_nothing", lang))
