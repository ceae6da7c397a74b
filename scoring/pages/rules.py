"""The page of `hotlead rules show`: the definition of hot for salespeople."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from features.kinds import Language
from scoring.pages.cells import stage_names, titles
from scoring.pages.formats import NONE, format_share
from scoring.pages.page import Block, Cell, Heading, Page, Table, Text
from scoring.scorecard.scorecard import Action, Group, Policy, Rule, Scorecard
from scoring.texts import translate

_DAYS = {"en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), "ja": tuple("月火水木金土日")}
_OWNERS = ("inside_sales", "field_sales", "customer_service", "marketing")
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def rules_page(card: Scorecard, lang: Language) -> Page:
    footer = translate("rules_version", lang, version=card.version)
    return Page(translate("rules_title", lang), tuple(_blocks(card, lang)), lang, footer)


def _blocks(card: Scorecard, lang: Language) -> Iterator[Block]:
    bands = card.bands
    shown_bands = translate("rules_bands", lang, warm=bands.warm, hot=bands.hot, most=card.max_points)
    yield Text(shown_bands, "verdict")
    yield Text(translate(f"rules_hot_is_{card.hot_is}", lang))
    for name, rules in (("triggers", card.triggers), ("exclusions", card.exclusions)):
        yield _heading(name, lang)
        yield _reasons(rules, lang)
    for name, group in (("fit", card.fit), ("intent", card.intent)):
        yield _heading(name, lang)
        yield from _group(group, lang)
    yield Heading(translate("rules_actions", lang))
    yield _actions_table(card, lang)
    if card.prompts:
        yield Heading(translate("rules_prompts", lang))
        yield _prompts(card, lang)
    yield Text(_describe_office(card, lang), "note")
    yield Text(translate("rules_thresholds", lang, policy=_describe_policy(card.thresholds, lang)), "note")


def _heading(key: str, lang: Language) -> Heading:
    """A text in lower case as a heading."""
    text = translate(key, lang)
    return Heading(text[:1].upper() + text[1:])


def _reasons(rules: Mapping[str, Rule], lang: Language) -> Table:
    rows = tuple((rule.because.text(lang),) for rule in rules.values())
    return Table((translate("rules_reason", lang),), rows, translate("rules_none", lang))


def _group(group: Group | None, lang: Language) -> Iterator[Block]:
    rows = sorted(group.rows.values(), key=lambda row: -row.points) if group else []
    cells = tuple((row.because.text(lang), f"{row.points:+d}") for row in rows)
    yield Table(titles(("rules_reason", "rules_points"), lang), cells, translate("rules_none", lang))
    if group and group.cap is not None:
        yield Text(translate("rules_cap", lang, cap=group.cap), "note")


def _actions_table(card: Scorecard, lang: Language) -> Table:
    cold, warm, hot = stage_names(lang)
    rows = [_action(hot, card.stages.hot, lang)]
    if card.hot_is == "sql" and card.hand_over:
        rows.append(_action(translate("rules_hand_over", lang), card.hand_over, lang))
    rows += [_action(warm, card.stages.warm, lang), _action(cold, card.stages.cold, lang)]
    columns = ("stage", "rules_action", "rules_owner", "rules_deadline", "rules_content")
    return Table(titles(columns, lang), tuple(rows))


def _action(stage: str, action: Action, lang: Language) -> tuple[Cell, ...]:
    content = action.content.text(lang) if action.content else NONE
    deadline = _deadline(action.hours, action.business_hours, lang)
    return stage, action.text.text(lang), _owner(action.owner, lang), deadline, content


def _owner(owner: str, lang: Language) -> str:
    """The word for an owner of the shipped profiles; any other owner as written in the card."""
    return translate(f"owner_{owner}", lang) if owner in _OWNERS else owner


def _prompts(card: Scorecard, lang: Language) -> Table:
    prompts = card.prompts.values()
    rows = tuple((p.text.text(lang), _deadline(p.hours, p.business_hours, lang)) for p in prompts)
    return Table(titles(("rules_action", "rules_deadline"), lang), rows)


def _deadline(hours: float | None, business: bool, lang: Language) -> str:
    if hours is None:
        return NONE
    return translate("rules_business_hours" if business else "rules_hours", lang, hours=f"{hours:g}")


def _describe_office(card: Scorecard, lang: Language) -> str:
    hours = card.hours
    days = ("・" if lang == "ja" else ", ").join(_DAYS[lang][_WEEK.index(day)] for day in hours.days)
    country = "" if hours.country is None else translate("rules_holidays", lang, country=hours.country)
    times = {"opens": f"{hours.opens:%H:%M}", "closes": f"{hours.closes:%H:%M}", "zone": hours.time_zone}
    return translate("rules_office", lang, days=days, **times, country=country)


def _describe_policy(policy: Policy, lang: Language) -> str:
    def shown(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:g}" if policy.policy == "calls_per_week" else format_share(value)

    return translate(f"policy_{policy.policy}", lang, warm=shown(policy.warm), hot=shown(policy.hot))
