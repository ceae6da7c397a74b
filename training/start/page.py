"""The page of `hotlead start`: the first calls, what was read, what the model is worth, what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from features.clock import now_ms
from features.kinds import Language
from features.moments import MIN_WINS
from features.settings import CrmSettings
from scoring.decision.score import Score
from scoring.pages.cells import titles
from scoring.pages.comparison import comparison_verdict
from scoring.pages.page import Block, Cell, CellValue, Facts, Heading, Items, Page, Table, Text
from scoring.scorecard.scorecard import Scorecard
from scoring.statistics.metrics import Estimate
from scoring.texts import translate
from training.registry.mlflow_store import CHAMPION
from training.reports.model_report import describe_quality, summary
from training.reports.promotion_page import promotion_page
from training.scorecard.summary import gain_sentence
from training.start.first_list import FirstList

_REASONS = 3


def start_page(first_list: FirstList, lang: Language) -> Page:
    title = translate("start_title", lang, name=first_list.settings.name)
    blocks = (
        Text(conclusion(first_list, lang), "verdict"),
        Heading(translate("start_calls", lang)),
        *_calls(first_list, lang),
        Heading(translate("start_read", lang)),
        *_read(first_list, lang),
        Heading(translate("start_model", lang)),
        *_model(first_list, lang),
        Heading(translate("start_gate", lang)),
        *_gate(first_list, lang),
        Heading(translate("start_next", lang)),
        Items(tuple(("", step) for step in next_steps(first_list, lang))),
    )
    return Page(title, blocks, lang, translate("start_files", lang, out=first_list.request.out))


def conclusion(first_list: FirstList, lang: Language) -> str:
    """What came of it, in one or two sentences: the list, and who decides."""
    scored_list = first_list.scored_list
    if scored_list is None:
        sentence = translate("start_nobody_open", lang)
    else:
        counts = {"count": f"{scored_list.scored.table.num_rows:,}", "file": first_list.request.request.to}
        sentence = translate("start_listed", lang, **counts)
    return ("" if lang == "ja" else " ").join((sentence, _decider(first_list, lang)))


def _decider(first_list: FirstList, lang: Language) -> str:
    """Who decides on the leads: the champion, the challenger or the rules, and why."""
    scored_list = first_list.scored_list
    model = first_list.registered_model if scored_list is None else scored_list.registered_model
    if model is None:
        return translate("start_by_rules_refused" if first_list.is_refused else "start_by_rules_alone", lang)
    if first_list.problem is not None or first_list.is_refused:
        is_champion = model.alias == CHAMPION
        return translate("start_by_earlier_champion" if is_champion else "start_by_challenger", lang)
    is_scorecard = first_list.comparison is not None and first_list.comparison.result.is_scorecard
    return translate("start_by_scorecard" if is_scorecard else "start_by_champion", lang)


def _read(first_list: FirstList, lang: Language) -> Iterator[Block]:
    yield Text(first_list.summary.text(lang))
    yield Facts(tuple(_columns(first_list.settings, lang)))
    rejects = first_list.loaded.rejects
    left_out = sum(rejects.count_left_out(table) for table in rejects.read)
    if left_out:
        file = first_list.request.out / "rejects.csv"
        yield Text(translate("start_rejects", lang, count=f"{left_out:,}", file=file), "warning")
    findings = tuple((f.severity, f.text(lang)) for f in first_list.audit.findings)
    yield Items(findings) if findings else Text(translate("report_audit_none", lang))
    if first_list.audit.left_out:
        yield Text(translate("report_left_out", lang, columns=", ".join(first_list.audit.left_out)))


def _columns(settings: CrmSettings, lang: Language) -> Iterator[tuple[str, str]]:
    """The columns of which a wrong one would make all else wrong: the outcome and its dates."""
    deals, leads = settings.deals, settings.leads
    if deals and deals.outcome:
        joint = translate("list_joint", lang)
        for word, values in (("won", deals.won), ("lost", deals.lost)):
            yield translate(f"answer_{word}", lang), f"{deals.outcome}: {joint.join(values)}"
    for key, column in (("created", leads.created_at), ("closed", deals and deals.closed_at)):
        yield translate(f"start_{key}", lang), column or translate("start_no_date", lang)


def _model(first_list: FirstList, lang: Language) -> Iterator[Block]:
    model, suggestion = first_list.registered_model, first_list.suggestion
    if suggestion is not None:
        yield Text(translate("start_card_learnt", lang, file=first_list.request.card_file))
        yield Text(gain_sentence(suggestion, lang), "note")
    elif first_list.is_starter:
        yield Text(translate("start_card_starter", lang, file=first_list.request.card_file), "warning")
    if model is None:
        yield Text(_why_no_model(first_list, lang), "warning")
        return
    about = model.model.about
    yield Text(summary(about, lang))
    yield Text(describe_quality(about, _figures(about["figures"]), lang), "verdict")
    if first_list.comparison is not None and about.get("measurable", True):
        yield Text(comparison_verdict(first_list.comparison.result, lang), "verdict")


def _why_no_model(first_list: FirstList, lang: Language) -> str:
    won = first_list.summary.won
    if won >= MIN_WINS:
        return first_list.problem.text(lang) if first_list.problem else ""
    return translate("start_few_wins", lang, won=f"{won:,}", least=MIN_WINS, missing=MIN_WINS - won)


def _figures(
    figures: Mapping[str, Mapping[str, Mapping[str, float | None]]],
) -> dict[str, dict[str, Estimate]]:
    """The figures of a model's description, by model and metric."""
    return {
        model: {
            name: Estimate(**{k: math.nan if v is None else v for k, v in values.items()})
            for name, values in measures.items()
        }
        for model, measures in figures.items()
    }


def _gate(first_list: FirstList, lang: Language) -> Iterator[Block]:
    promotion = first_list.promotion
    if promotion is None:
        key = "start_gate_no_model" if first_list.registered_model is None else "start_gate_champion"
        yield Text(translate(key, lang))
        return
    yield from promotion_page(promotion, None, lang).blocks


def _calls(first_list: FirstList, lang: Language) -> Iterator[Block]:
    scored_list = first_list.scored_list
    if scored_list is None:
        yield Text(translate("start_nobody_open", lang))
        return
    card = scored_list.scorer.card
    scores = scored_list.scored.first.scores(lang, now_ms(), "top")
    columns = ("start_lead", "start_score", "start_why", "start_action")
    rows = tuple(_call_cells(score, card, lang) for score in scores)
    yield Table(titles(columns, lang), rows)


def _call_cells(score: Score, card: Scorecard, lang: Language) -> tuple[Cell, ...]:
    stage = translate(f"stage_{score.stage}", lang)
    probability = f"{score.model.probability:.0%}" if score.model is not None else ""
    model = [reason.text for reason in score.model.reasons or ()] if score.model is not None else []
    rules = (*score.rules.triggers, *score.rules.exclusions, *score.rules.reasons)
    reasons = list(dict.fromkeys([*model[:_REASONS], *(r.text for r in rules[:_REASONS])]))
    due = score.action.deadline
    zone = ZoneInfo(card.hours.time_zone)
    shown = f"{datetime.fromisoformat(due).astimezone(zone):%Y-%m-%d %H:%M}" if due else ""
    action = CellValue(score.action.text, shown)
    return score.lead_id, CellValue(f"{score.score} {stage}", probability), "\n".join(reasons), action


def next_steps(first_list: FirstList, lang: Language) -> list[str]:
    """What to do next, the most urgent first."""
    crm_toml = first_list.request.settings_file
    values = {"crm": crm_toml, "card": first_list.request.card_file, "list": first_list.request.request.to}
    keys = []
    if first_list.audit.left_out:
        keys.append("start_do_leaks")
    if first_list.scored_list is not None:
        keys.append("start_do_call")
    if first_list.suggestion is not None or first_list.is_starter:
        keys.append("start_do_review_card")
    if first_list.problem is not None:
        keys.append("start_do_more_deals")
    elif first_list.is_refused:
        keys.append("start_do_override")
    keys += ["start_do_again", "start_do_serve"]
    return [translate(key, lang, **values) for key in keys]
