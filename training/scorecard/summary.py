"""Summary of a suggested scorecard: its training data, its gain, the evidence for each rule."""

from __future__ import annotations

from collections.abc import Iterator

from features.clock import iso
from features.kinds import Language
from scoring.statistics.metrics import Figure
from scoring.statistics.paired_differences import USUAL_SHARE
from scoring.statistics.rates import Rate
from scoring.texts import say
from training.scorecard.suggest import Suggestion


def learnt_sentence(found: Suggestion, lang: Language) -> str:
    """What the card was learnt from, and until when."""
    told = {"examples": _count(found.learnt_examples), "won": _count(found.all.learnt.won)}
    if found.cutoff is not None:
        return say("suggest_learnt_until", lang, until=iso(found.cutoff)[:10], **told)
    return say("suggest_learnt" if found.ordered else "suggest_learnt_by_lot", lang, **told)


def gain_sentence(found: Suggestion, lang: Language) -> str:
    """What the card gains over the present one on deals that it has never seen."""
    told = {"examples": _count(found.judged_examples), "won": _count(found.all.newer.won)}
    where = say("suggest_judged" if found.ordered else "suggest_judged_by_lot", lang, **told)
    space = " " if lang == "en" else ""
    return f"{where}{_ranking(found, lang)}{space}{_at_volume(found, lang)}"


def left_out_sentence(found: Suggestion, lang: Language) -> str:
    """Which rows of the present card do not come again; empty where all do."""
    names = [name for name in found.present.rows if name not in found.card.rows]
    joined = say("suggest_comma", lang).join(names)
    return say("suggest_left_out", lang, names=joined) if names else ""


def rule_sentences(found: Suggestion, table: str, name: str, lang: Language) -> Iterator[str]:
    """What speaks for a rule of a table such as "fit.rows" or "triggers"."""
    at = found.evidence[f"{table}.{name}"]
    if not at.learnt.count:
        yield say("suggest_row_never_learnt", lang)
    else:
        yield say(
            "suggest_row",
            lang,
            examples=_count(found.learnt_examples),
            all=_percent(found.all.learnt.value, lang),
            **_told(at.learnt, lang),
        )
    newer = "suggest_row_newer" if at.newer.count else "suggest_row_never"
    yield say(newer, lang, **_told(at.newer, lang))
    if table.endswith("rows") and name in found.present.rows:
        yield say("suggest_row_present", lang, points=found.present.rows[name].points)


def _ranking(found: Suggestion, lang: Language) -> str:
    told = found.gain["average_precision"]
    difference = told.difference
    better = "suggest_better" if difference.low > 0 else "suggest_open"
    return say(
        "suggest_worse" if difference.high < 0 else better,
        lang,
        other=say("suggest_present" if found.present.rows else "suggest_chance", lang),
        new=f"{told.new.value:.3f}",
        old=f"{told.old.value:.3f}",
        difference=f"{difference.value:+.3f}",
        low=f"{difference.low:+.3f}",
        high=f"{difference.high:+.3f}",
    )


def _at_volume(found: Suggestion, lang: Language) -> str:
    told = found.gain["win_rate"]
    new = _percent(told.new.value, lang)
    if not found.called:
        return say(
            "suggest_called_usual",
            lang,
            share=_percent(USUAL_SHARE, lang, 0),
            new=new,
            all=_percent(found.all.newer.value, lang),
            **_interval(told.new),
        )
    return say(
        "suggest_called",
        lang,
        called=_count(found.called),
        new=new,
        old=_percent(told.old.value, lang),
        difference=f"{100 * told.difference.value:+.1f}",
        **_interval(told.difference, "+.1f"),
    )


def _told(rate: Rate, lang: Language) -> dict[str, str]:
    interval = _interval(Figure(rate.value, rate.low, rate.high))
    return {"count": _count(rate.count), "rate": _percent(rate.value, lang), **interval}


def _interval(figure: Figure, form: str = ".1f") -> dict[str, str]:
    """In percent."""
    return {"low": format(100 * figure.low, form), "high": format(100 * figure.high, form)}


def _percent(share: float, lang: Language, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}{' %' if lang == 'en' else '%'}"


def _count(number: int) -> str:
    return f"{number:,}"
