"""Summary of a suggested scorecard: its training data, its gain, the evidence for each rule."""

from __future__ import annotations

from collections.abc import Iterator

from features.clock import iso
from features.kinds import Language
from scoring.pages.formats import format_share
from scoring.statistics.metrics import Estimate
from scoring.statistics.paired_differences import USUAL_SHARE
from scoring.statistics.rates import Rate
from scoring.texts import translate
from training.scorecard.suggest import Suggestion


def learnt_sentence(suggestion: Suggestion, lang: Language) -> str:
    """The deals that the card was learnt from, and until when."""
    counts = {"examples": f"{suggestion.learnt_examples:,}", "won": f"{suggestion.all.learnt.won:,}"}
    if suggestion.cutoff is not None:
        return translate("suggest_learnt_until", lang, until=iso(suggestion.cutoff)[:10], **counts)
    return translate("suggest_learnt" if suggestion.ordered else "suggest_learnt_by_lot", lang, **counts)


def gain_sentence(suggestion: Suggestion, lang: Language) -> str:
    """The gain over the present card on deals that were not used for learning."""
    counts = {"examples": f"{suggestion.judged_examples:,}", "won": f"{suggestion.all.newer.won:,}"}
    sample_sentence = translate(
        "suggest_judged" if suggestion.ordered else "suggest_judged_by_lot", lang, **counts
    )
    space = " " if lang == "en" else ""
    return (
        f"{sample_sentence}{_ranking_sentence(suggestion, lang)}{space}{_volume_sentence(suggestion, lang)}"
    )


def left_out_sentence(suggestion: Suggestion, lang: Language) -> str:
    """The rows of the present card that are dropped; empty if there are none."""
    names = [name for name in suggestion.present.rows if name not in suggestion.card.rows]
    joined = translate("suggest_comma", lang).join(names)
    return translate("suggest_left_out", lang, names=joined) if names else ""


def rule_sentences(suggestion: Suggestion, table: str, name: str, lang: Language) -> Iterator[str]:
    """The evidence for a rule of a table such as "fit.rows" or "triggers"."""
    evidence = suggestion.evidence[f"{table}.{name}"]
    if not evidence.learnt.count:
        yield translate("suggest_row_never_learnt", lang)
    else:
        yield translate(
            "suggest_row",
            lang,
            examples=f"{suggestion.learnt_examples:,}",
            all=format_share(suggestion.all.learnt.value),
            **_rate_texts(evidence.learnt),
        )
    newer = "suggest_row_newer" if evidence.newer.count else "suggest_row_never"
    yield translate(newer, lang, **_rate_texts(evidence.newer))
    if table.endswith("rows") and name in suggestion.present.rows:
        yield translate("suggest_row_present", lang, points=suggestion.present.rows[name].points)


def _ranking_sentence(suggestion: Suggestion, lang: Language) -> str:
    gain = suggestion.gain["average_precision"]
    difference = gain.difference
    better = "suggest_better" if difference.low > 0 else "suggest_open"
    return translate(
        "suggest_worse" if difference.high < 0 else better,
        lang,
        other=translate("suggest_present" if suggestion.present.rows else "suggest_chance", lang),
        new=f"{gain.new.value:.3f}",
        old=f"{gain.old.value:.3f}",
        difference=f"{difference.value:+.3f}",
        low=f"{difference.low:+.3f}",
        high=f"{difference.high:+.3f}",
    )


def _volume_sentence(suggestion: Suggestion, lang: Language) -> str:
    gain = suggestion.gain["win_rate"]
    new = format_share(gain.new.value)
    if not suggestion.called:
        return translate(
            "suggest_called_usual",
            lang,
            share=format_share(USUAL_SHARE, 0),
            new=new,
            all=format_share(suggestion.all.newer.value),
            **_interval_texts(gain.new),
        )
    return translate(
        "suggest_called",
        lang,
        called=f"{suggestion.called:,}",
        new=new,
        old=format_share(gain.old.value),
        difference=f"{100 * gain.difference.value:+.1f}",
        **_interval_texts(gain.difference, "+.1f"),
    )


def _rate_texts(rate: Rate) -> dict[str, str]:
    interval = _interval_texts(Estimate(rate.value, rate.low, rate.high))
    return {"count": f"{rate.count:,}", "rate": format_share(rate.value), **interval}


def _interval_texts(figure: Estimate, form: str = ".1f") -> dict[str, str]:
    """In percent."""
    return {"low": format(100 * figure.low, form), "high": format(100 * figure.high, form)}
