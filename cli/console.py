"""What the commands print. Steps and progress go to stderr, results to stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from features.kinds import Language
from scoring.texts import translate as said

if TYPE_CHECKING:  # at run time a command imports only what it needs
    from features.crm.findings import Finding
    from scoring.decision.score import ActionAnswer, Reason, Score
    from scoring.pages.page import Page
    from training.compare import Comparison
    from training.lists.score_crm import ScoredList
    from training.registry.promotion import PromotionResult
    from training.scorecard.suggest import Suggestion
    from training.train import TrainingRun

_MAX_REASONS = 5


@contextmanager
def step_printer(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Each step on stderr as it begins, with the seconds that have passed."""
    import time

    began = time.monotonic()

    def print_step(step: str) -> None:
        if not quiet:
            print(f"[{time.monotonic() - began:5.1f} s] {step}", file=sys.stderr, flush=True)

    yield print_step


@contextmanager
def progress_bar(quiet: bool, description: str = "scoring") -> Iterator[Callable[[int, int], None]]:
    """A bar with rows and time left, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task(description, total=None)
        yield lambda completed, total: bar.update(task, completed=completed, total=total)


def print_training(training_run: TrainingRun, lang: Language) -> None:
    """What a training made, and how good it is."""
    from training.reports.model_report import summary, verdict

    trained, out = training_run.trained, training_run.report.parent
    print_rejects(trained.loaded.rejects.summary(), out / "rejects.csv")
    print_findings([f for f in trained.findings if f.severity != "note"], lang)
    print(summary(trained, lang))
    print(verdict(trained.evaluation.figures, lang))
    registration = training_run.registration
    print(
        f"Wrote {out / 'model'} (model {trained.model.version}) and {training_run.report}; registered as "
        f"hotlead version {registration.version}, challenger, at {registration.tracking_uri}."
    )
    if not trained.model.card.rows:
        print("There is no scorecard.toml beside crm.toml: `hotlead rules suggest` learns a first one.")


def print_verdict(comparison: Comparison, lang: Language) -> None:
    """The comparison in a sentence."""
    from scoring.pages.comparison import comparison_verdict

    print(comparison_verdict(comparison.result, lang))


def print_calls(scored_list: ScoredList, lang: Language) -> None:
    """The first leads of a list: score, both sides with reasons, what to do and by when."""
    zone = ZoneInfo(scored_list.scorer.card.hours.time_zone)
    for place, score in enumerate(scored_list.first, start=1):
        print(f"{place:3d}. {_format_head(score, lang)}")
        for line in _detail_lines(score, zone, lang):
            print(f"       {line}")


def _format_head(score: Score, lang: Language) -> str:
    """L023593  92 hot  (model 66% → 92 hot, rules 40 points → 80 hot; hot at once)."""
    sides, stage = [], said(f"stage_{score.stage}", lang)
    if score.model is not None:
        sides.append(
            said(
                "call_model",
                lang,
                probability=f"{score.model.probability:.0%}",
                score=score.model.score,
                stage=said(f"stage_{score.model.stage}", lang),
            )
        )
    sides.append(
        said(
            "call_rules",
            lang,
            points=score.rules.points,
            score=score.rules.score,
            stage=said(f"stage_{score.rules.stage}", lang),
        )
    )
    decider = said(f"decided_by_{score.decided_by}", lang)
    return f"{score.lead_id}  {score.score} {stage}  ({said('list_joint', lang).join(sides)}; {decider})"


def _detail_lines(score: Score, zone: ZoneInfo, lang: Language) -> Iterator[str]:
    model, rules = score.model, score.rules
    for key, up in (("raised", True), ("lowered", False)):
        reasons = [r.text for r in (model and model.reasons) or () if (r.weight > 0) is up]
        if reasons:
            yield f"{said(key, lang)}: {' / '.join(reasons)}"
    rule_reasons = [*rules.exclusions, *rules.triggers, *rules.reasons]
    if rule_reasons:
        shown = " / ".join(_format_reason(reason) for reason in rule_reasons[:_MAX_REASONS])
        more = len(rule_reasons) - _MAX_REASONS
        rest = said("call_more", lang, count=more) if more > 0 else ""
        yield f"{said('side_rules', lang)}: {shown}{rest}"
    if model is not None:
        yield said("call_alike", lang, alike=f"{model.alike:,}", won=f"{model.alike_won:,}")
    if score.person is not None:
        yield said("call_person", lang, by=score.person.by, reason=score.person.reason)
    yield f"→ {score.action.text}{_format_deadline(score.action, zone, lang)}"
    if score.unknown:
        unknown = said("list_joint", lang).join(said(role, lang) for role in score.unknown)
        yield said("call_unknown", lang, unknown=unknown)


def _format_reason(reason: Reason) -> str:
    return f"{reason.text} ({reason.weight:+.0f})" if reason.weight else reason.text


def _format_deadline(action: ActionAnswer, zone: ZoneInfo, lang: Language) -> str:
    """The deadline in the office's own time, and whether it has passed."""
    if action.deadline is None:
        return ""
    deadline = datetime.fromisoformat(action.deadline).astimezone(zone)
    key = "call_overdue" if action.overdue else "call_by"
    return said(key, lang, due=f"{deadline:%Y-%m-%d %H:%M}")


def print_gate(promotion: PromotionResult, override: str | None, lang: Language, json_wanted: bool) -> None:
    """What the gate said, as a table or as JSON."""
    from scoring.evaluation.gate import all_passed
    from scoring.pages.gate import explain_failures, gate_page
    from scoring.pages.page import to_terminal
    from scoring.to_json import to_jsonable

    refused = explain_failures(promotion.checks, lang)
    if json_wanted:
        print_json(
            promoted=promotion.promoted,
            version=promotion.challenger.version,
            override=override,
            reasons=refused,
            checks=to_jsonable(promotion.checks),
        )
        return
    champion = (
        said("gate_no_champion", lang)
        if promotion.champion is None
        else said(
            "gate_champion", lang, version=promotion.champion.version, model=promotion.champion.model.version
        )
    )
    summary = said(
        "gate_summary",
        lang,
        challenger=promotion.challenger.version,
        model=promotion.challenger.model.version,
        champion=champion,
    )
    outcome = said("gate_promoted", lang, challenger=promotion.challenger.version)
    if not promotion.promoted:
        joint = "／" if lang == "ja" else "; "
        outcome = said("gate_refused", lang, reasons=joint.join(refused))
    elif not all_passed(promotion.checks):
        outcome = said("gate_promoted_by_override", lang, why=override)
    to_terminal(gate_page(promotion.checks, summary, outcome, lang))


def print_suggestion(found: Suggestion, lang: Language) -> None:
    """What was learnt, and what it gains."""
    from scoring.pages.page import to_terminal
    from scoring.pages.rules import rules_page
    from training.scorecard.summary import gain_sentence

    to_terminal(rules_page(found.card, lang))
    print(gain_sentence(found, lang))


def print_suggestion_json(suggestion: Suggestion, to: Path) -> None:
    """The same for machines."""
    from scoring.to_json import to_jsonable

    print_json(to=str(to), scorecard=suggestion.card.to_dict(), gain=to_jsonable(suggestion.gain))


def print_findings(found: Sequence[Finding], lang: Language) -> None:
    """Findings of the audit, a line each."""
    for finding in found:
        print(f"  {finding.severity:8s} {finding.text(lang)}")


def print_rejects(summary: str, path: Path) -> None:
    """What was set aside while reading."""
    if summary:
        print(f"Set aside (each named in {path}):\n{summary}")


def show_page(out: Path, name: str, make: Callable[[Language], Page], lang: Language) -> None:
    """A page in the terminal, and as files in both languages."""
    from scoring.pages.page import to_terminal
    from training.reports.html_files import render_pages, write_pages

    to_terminal(make(lang))
    print_written_files(*write_pages(out, name, render_pages(make)).values())


def print_written_files(*paths: Path) -> None:
    """The files that a command wrote."""
    print(f"Wrote {', '.join(map(str, paths))}.")


def print_next_steps(*steps: str) -> None:
    """What to do next."""
    print("Next:\n" + "\n".join(f"  {step}" for step in steps))


def print_json(**values: Any) -> None:
    """One JSON object."""
    print(json.dumps(values, ensure_ascii=False, default=str))
