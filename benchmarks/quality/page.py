"""The generated parts of docs/model-quality.md: tables, and the sentences that follow from them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.quality.constants import SetLeftOut
from benchmarks.quality.figures import BARS, MAX_CALIBRATION_ERROR, MAX_TO_BEST, SetFigures
from benchmarks.quality.measuring import SideCounts
from scoring.statistics.metrics import Estimate
from training.fitting.blending import CONSTANTS, BlendingConstants

FIGURES, CHOICE = "figures", "constants"
"""The names of the generated parts."""

_NONE = "–"


def insert(page: str, name: str, content: str) -> str:
    """The page with a generated part replaced. Raises ValueError if the page has no such part."""
    mark = rf"(<!-- {name}: generated[^\n]*-->\n).*?(<!-- end -->)"
    text, count = re.subn(mark, lambda m: f"{m[1]}{content}\n{m[2]}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"the page has {count} parts named {name}")
    return text


def figures_part(sets: Sequence[SetFigures]) -> str:
    """All tables of the sets with their sentences."""
    paragraphs = (
        _loss_table(sets),
        _verdict(sets),
        "## Each part alone",
        _parts_table(sets),
        _parts_sentence(sets),
        "## Calibration",
        _calibration_table(sets),
        _calibration_sentences(sets),
        "## What it was measured on",
        _counts_table(sets),
    )
    return "\n\n".join(paragraphs)


def constants_part(results: Sequence[SetLeftOut]) -> str:
    """The table of the sets left out with its sentence."""
    constants = ("fold growth", "equal prior", "gate", "slope pull")
    rows = [
        (r.name, *_values(r.chosen), f"{r.loss:.4f}", f"{r.shipped_loss:.4f}", _signed(r.difference))
        for r in results
    ]
    changes = [r.difference.value for r in results]
    worse = [r.name for r in results if r.difference.low > 0]
    better = [r.name for r in results if r.difference.high < 0]
    shipped = ", ".join(f"{n} {v}" for n, v in zip(constants, _values(CONSTANTS), strict=True))
    return (
        f"{_table(('set left out', *constants, 'with them', 'shipped', 'difference'), rows)}\n\n"
        f"Shipped are {shipped}. The constants chosen without a set change its loss by {min(changes):+.4f} "
        f"to {max(changes):+.4f}; beyond chance they are worse than the shipped ones on {_enumerate(worse)} "
        f"and better on {_enumerate(better)}."
    )


def _values(constants: BlendingConstants) -> tuple[str, ...]:
    values = (constants.fold_growth, constants.equal_prior, constants.min_errors, constants.slope_pull)
    return tuple(f"{value:g}" for value in values)


def _loss_table(sets: Sequence[SetFigures]) -> str:
    head = (
        "data set",
        "Hotlead",
        "bar",
        "less its best part",
        "scorecard, calibrated",
        "logistic regression",
        "LightGBM with defaults",
        "base rate",
    )
    rows = [
        (
            s.name,
            f"**{s.loss.value:.4f}** {_range(s.loss)}",
            _number(BARS.get(s.name), "g"),
            f"{_signed(s.to_best)} ({_words(s.best_part)})",
            _number(s.card),
            *(_number(s.losses[f"baseline_{n}"]) for n in ("logistic", "lightgbm", "rate")),
        )
        for s in sets
    ]
    return _table(head, rows)


def _verdict(sets: Sequence[SetFigures]) -> str:
    missed = [f"{s.name} ({'; '.join(s.misses)})" for s in sets if s.misses]
    behind = [s.name for s in sets if s.loss.value > min(s.simple.values())]
    bars = f"Missed: {', '.join(missed)}." if missed else "Every bar is met."
    return f"{bars} A simple model or the scorecard alone has a smaller loss on {_enumerate(behind)}."


def _parts_table(sets: Sequence[SetFigures]) -> str:
    names = list(dict.fromkeys(name for s in sets for name in s.parts))
    rows = [
        (
            s.name,
            *(_number(s.parts.get(name), bold=name == s.best_part) for name in names),
            f"{s.loss.value:.4f}",
        )
        for s in sets
    ]
    return _table(("data set", *map(_words, names), "Hotlead"), rows)


def _parts_sentence(sets: Sequence[SetFigures]) -> str:
    worst = max(sets, key=lambda s: s.to_best.value)
    ahead = [s.name for s in sets if s.to_best.high < 0]
    return (
        f"The sum is at most {worst.to_best.value:+.4f} from the best part, which is known in hindsight only "
        f"({worst.name}; {MAX_TO_BEST:g} is allowed), and better than every part beyond chance on "
        f"{_enumerate(ahead)}."
    )


def _calibration_table(sets: Sequence[SetFigures]) -> str:
    head = (
        "data set",
        "mean probability",
        "won",
        "won in the newest older part",
        "holds still",
        "calibration error",
        "at the judged level",
        "by chance alone",
        "ROC AUC",
    )
    rows = [
        (
            s.name,
            f"{s.predicted:.1%}",
            f"{s.scores.judged.rate:.1%}",
            _NONE if s.scores.newest_fold is None else f"{s.scores.newest_fold.rate:.1%}",
            "no order" if s.change is None else "yes" if s.is_still else "no",
            f"{s.error:.3f}",
            f"{s.levelled_error:.3f}",
            f"{s.chance_error.value:.3f} {_range(s.chance_error, 3)}",
            f"{s.auc.value:.3f} {_range(s.auc, 3)}",
        )
        for s in sets
    ]
    return _table(head, rows)


def _calibration_sentences(sets: Sequence[SetFigures]) -> str:
    steady = [s for s in sets if s.is_still]
    sentences = [f"The win rate holds still on {_enumerate([s.name for s in steady])}."]
    small = [s.name for s in steady if s.error <= MAX_CALIBRATION_ERROR]
    if small:
        sentences.append(f"There the error is at most {MAX_CALIBRATION_ERROR:g} on {_enumerate(small)}.")
    large = {s.name: s.is_calibrated for s in steady if s.name not in small}
    for name, is_chance in large.items():
        reason = "but within what chance alone makes of so few deals" if is_chance else "and beyond chance"
        sentences.append(f"On {name} it is above {MAX_CALIBRATION_ERROR:g}, {reason}.")
    return " ".join([*sentences, *(_describe_move(s) for s in sets if not s.is_still)])


def _describe_move(figures: SetFigures) -> str:
    fold = figures.scores.newest_fold
    assert fold is not None  # the win rate has moved since then
    return (
        f"On {figures.name} the win rate moves from {fold.rate:.1%} to {figures.scores.judged.rate:.1%}, and "
        f"the mean probability is {figures.predicted:.1%}."
    )


def _counts_table(sets: Sequence[SetFigures]) -> str:
    head = (
        "data set",
        "learnt from",
        "judged on",
        "seeds",
        "training, s",
        "peak memory, GiB",
        "reasons of one lead, ms",
    )
    rows = [
        (
            s.name,
            _side(s.scores.older),
            _side(s.scores.judged),
            str(len(s.scores.runs)),
            f"{s.scores.seconds:.0f}",
            f"{s.scores.gib:.1f}",
            f"{s.scores.explained * 1000:.2f}",
        )
        for s in sets
    ]
    return _table(head, rows)


def _side(side: SideCounts) -> str:
    return f"{side.examples:,} ({side.won_leads:,} won leads)"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _number(value: float | None, form: str = ".4f", bold: bool = False) -> str:
    if value is None:
        return _NONE
    return f"**{value:{form}}**" if bold else f"{value:{form}}"


def _range(estimate: Estimate, digits: int = 4) -> str:
    return f"[{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def _words(part: str) -> str:
    return {"linear": "line", "statistics": "trees with target statistics"}.get(part, part.replace("_", " "))


def _enumerate(names: Sequence[str]) -> str:
    return ", ".join(names) or "no set"
