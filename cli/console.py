"""The output of the commands: steps and progress on stderr, results on stdout.

Imports inside functions keep `hotlead --help` fast.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from features.language import Language
from features.messages import Message, MessageLines, MessageText, to_text
from scoring.texts import translate

if TYPE_CHECKING:
    from features.crm.findings import Finding
    from scoring.decision.score import ActionAnswer, ModelAnswer, Reason, RulesAnswer, Score
    from scoring.pages.page import Page
    from training.compare import Comparison
    from training.lists.batch import SortKey
    from training.lists.score_crm import ScoredList
    from training.registry.promotion import PromotionResult
    from training.scorecard.suggest import Suggestion
    from training.train import TrainingRun

_MAX_REASONS = 5
SCORING = Message("scoring")
LABELS = {
    "leak": Message("leak"),
    "suspect": Message("suspect"),
    "warning": Message("warning"),
    "note": Message("note"),
    "question": Message("question"),
}
"""The kinds of lines on the data: the severities of findings, notes and questions."""


@contextmanager
def step_printer(lang: Language, quiet: bool = False) -> Iterator[Callable[[Message | str], None]]:
    """A function that prints each step as it begins, with the seconds since the start."""
    began = time.monotonic()

    def print_step(step: Message | str) -> None:
        if not quiet:
            seconds = f"[{time.monotonic() - began:5.1f} s]"
            print(f"{seconds} {to_text(step, lang)}", file=sys.stderr, flush=True)

    yield print_step


@contextmanager
def progress_bar(
    quiet: bool, lang: Language, description: Message = SCORING
) -> Iterator[Callable[[int, int], None]]:
    """A progress bar with the completed rows and the remaining time; yields its update function."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    title = description.text(lang)
    columns = (title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda completed, total: bar.update(task, completed=completed, total=total)


def print_training(training_run: TrainingRun, lang: Language) -> None:
    """The result of a training run: findings, quality of the model, and the written files."""
    from training.reports.model_report import describe_quality, summary

    trained, out = training_run.record.trained, training_run.report.parent
    print_rejects(trained.loaded.rejects.summary(), out / "rejects.csv", lang)
    print_findings([f for f in trained.findings if f.severity != "note"], lang)
    print(summary(trained.model.about, lang))
    print(describe_quality(trained.model.about, trained.evaluation.figures, lang))
    registration = training_run.registration
    written = Message(
        "Wrote {folder} (model {model}) and {report}; registered as hotlead version {version}, challenger, "
        "at {url}.",
        folder=out / "model",
        model=trained.model.version,
        report=training_run.report,
        version=registration.version,
        url=registration.tracking_uri,
    )
    print_message(written, lang)
    if not trained.model.card.rows:
        advice = Message(
            "There is no scorecard.toml beside crm.toml: `hotlead rules suggest` learns a first one."
        )
        print_message(advice, lang)


def print_verdict(comparison: Comparison, lang: Language) -> None:
    """The result of a comparison in one sentence."""
    from scoring.pages.comparison import comparison_verdict

    print(comparison_verdict(comparison.result, lang))


def print_calls(scored_list: ScoredList, lang: Language) -> None:
    """The first leads of a list: score, reasons of both sides, action and deadline."""
    zone = ZoneInfo(scored_list.scorer.card.hours.time_zone)
    for rank, score in enumerate(scored_list.first, start=1):
        print(f"{rank:3d}. {_format_head(score, lang)}")
        for line in _detail_lines(score, zone, lang):
            print(f"       {line}")


def print_list_summary(scored_list: ScoredList, to: str, lang: Language, sort: SortKey = "score") -> None:
    """Where the list was written, as of when, and who decided."""
    from features.clock import iso

    model = scored_list.registered_model
    decider = Message("the rules alone")
    if model is not None:
        name = Message("champion") if model.alias == "champion" else Message("challenger")
        decider = Message("the {name} (model {version})", name=name, version=model.model.version)
    summary = Message(
        "Wrote {count:,} scored leads to {to}, {order}, as of {moment}, by {decider}, scorecard {card}.",
        count=scored_list.scored.table.num_rows,
        to=to,
        order=_describe_order(sort),
        moment=iso(scored_list.as_of),
        decider=decider,
        card=scored_list.scorer.card.version,
    )
    print_message(summary, lang)


def _describe_order(sort: SortKey) -> Message:
    if sort == "expected_value":
        return Message("highest expected value first")
    return Message("highest score first")


def _format_head(score: Score, lang: Language) -> str:
    """L023593  92 hot  (model 66% → 92 hot, rules 40 points → 80 hot; hot at once)."""

    def side(key: str, answer: ModelAnswer | RulesAnswer, **values: object) -> str:
        stage = translate(f"stage_{answer.stage}", lang)
        return translate(key, lang, score=answer.score, stage=stage, **values)

    sides = [side("call_rules", score.rules, points=score.rules.points)]
    if score.model is not None:
        sides.insert(0, side("call_model", score.model, probability=f"{score.model.probability:.0%}"))
    stage = translate(f"stage_{score.stage}", lang)
    decider = translate(f"decided_by_{score.decided_by}", lang)
    return f"{score.lead_id}  {score.score} {stage}  ({translate('list_joint', lang).join(sides)}; {decider})"


def _detail_lines(score: Score, zone: ZoneInfo, lang: Language) -> Iterator[str]:
    model, rules = score.model, score.rules
    for key, up in (("raised", True), ("lowered", False)):
        reasons = [r.text for r in (model and model.reasons) or () if (r.weight > 0) is up]
        if reasons:
            yield f"{translate(key, lang)}: {' / '.join(reasons)}"
    rule_reasons = [*rules.exclusions, *rules.triggers, *rules.reasons]
    if rule_reasons:
        shown = " / ".join(_format_reason(reason) for reason in rule_reasons[:_MAX_REASONS])
        more = len(rule_reasons) - _MAX_REASONS
        rest = translate("call_more", lang, count=more) if more > 0 else ""
        yield f"{translate('side_rules', lang)}: {shown}{rest}"
    if model is not None:
        yield translate("call_alike", lang, alike=f"{model.alike:,}", won=f"{model.alike_won:,}")
        if model.expected_value is not None and score.amount is not None:
            value, amount = f"{model.expected_value:,.0f}", f"{score.amount:,.0f}"
            yield translate("call_expected", lang, value=value, amount=amount)
        if days := model.days_to_win:
            from scoring.pages.time_to_win import format_days  # it loads NumPy

            median, p80 = (format_days(value, lang) for value in (days.median, days.p80))
            yield translate("days_to_win", lang, median=median, p80=p80)
    if score.person is not None:
        yield translate("call_person", lang, by=score.person.by, reason=score.person.reason)
    yield f"→ {score.action.text}{_format_deadline(score.action, zone, lang)}"
    if score.unknown:
        unknown = translate("list_joint", lang).join(translate(role, lang) for role in score.unknown)
        yield translate("call_unknown", lang, unknown=unknown)


def _format_reason(reason: Reason) -> str:
    return f"{reason.text} ({reason.weight:+.0f})" if reason.weight else reason.text


def _format_deadline(action: ActionAnswer, zone: ZoneInfo, lang: Language) -> str:
    """The deadline in the time zone of the office hours, marked if it has passed."""
    if action.deadline is None:
        return ""
    deadline = datetime.fromisoformat(action.deadline).astimezone(zone)
    key = "call_overdue" if action.overdue else "call_by"
    return translate(key, lang, due=f"{deadline:%Y-%m-%d %H:%M}")


def print_gate(promotion: PromotionResult, override: str | None, lang: Language, as_json: bool) -> None:
    """The checks of the gate, as a table or as JSON."""
    from scoring.pages.gate import explain_failures
    from scoring.pages.page import to_terminal
    from scoring.to_json import to_jsonable
    from training.reports.promotion_page import promotion_page

    reasons, challenger = explain_failures(promotion.checks, lang), promotion.challenger
    if as_json:
        checks, version = to_jsonable(promotion.checks), challenger.version
        about = {"promoted": promotion.promoted, "version": version, "override": override}
        print_json(**about, reasons=reasons, checks=checks)
        return
    to_terminal(promotion_page(promotion, override, lang))


def print_suggestion(suggestion: Suggestion, lang: Language) -> None:
    """A suggested scorecard as a table, and its gain over the present one."""
    from scoring.pages.page import to_terminal
    from scoring.pages.rules import rules_page
    from training.scorecard.summary import gain_sentence

    to_terminal(rules_page(suggestion.card, lang))
    print(gain_sentence(suggestion, lang))


def print_findings(findings: Sequence[Finding], lang: Language) -> None:
    """The findings of the audit, one line each."""
    for finding in findings:
        print_labelled(finding.severity, finding.text(lang), lang)


def print_labelled(label: str, text: str, lang: Language) -> None:
    """A line with its kind in front: a note, a warning, a question."""
    title = LABELS[label].text(lang)
    print(f"  {title:8s} {text}" if lang == "en" else f"  【{title}】{text}")


def print_rejects(summary: MessageLines, path: Path, lang: Language) -> None:
    """The number of rejected rows by reason, and the file that lists them."""
    if summary:
        print_message(
            Message("Set aside (each named in {path}):\n{summary}", path=path, summary=summary), lang
        )


def show_page(out: Path, name: str, build: Callable[[Language], Page], lang: Language) -> None:
    """Print a page, and write it as HTML in both languages."""
    from scoring.pages.page import to_terminal
    from training.reports.html_files import render_pages, write_pages

    to_terminal(build(lang))
    print_written_files(lang, *write_pages(out, name, render_pages(build)).values())


def print_message(message: MessageText, lang: Language) -> None:
    """Print a message in the language of the command."""
    print(message.text(lang))


def print_written_files(lang: Language, *paths: Path) -> None:
    """Name the files that a command wrote."""
    print_message(Message("Wrote {paths}.", paths=paths), lang)


def print_next_steps(lang: Language, *steps: Message | str) -> None:
    """Suggest the next steps: commands, or what a person has to do."""
    lines = "\n".join(f"  {to_text(step, lang)}" for step in steps)
    print_message(Message("Next:\n{lines}", lines=lines), lang)


def confirm(question: str) -> bool:
    """Ask on stderr, and read y or yes from stdin."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def emit(values: Mapping[str, Any], lines: Iterable[Message | str], as_json: bool, lang: Language) -> None:
    """Print a result as one JSON object or as lines of text."""
    if as_json:
        print_json(**values)
    else:
        print("\n".join(to_text(line, lang) for line in lines))


def print_json(**values: Any) -> None:
    """Print one JSON object."""
    print(json.dumps(values, ensure_ascii=False, default=str))
