"""Compares the model with the calibrated scorecard and the base rate when it is trained on few deals.

`python -m benchmarks.few_deals [NAME ...] [--draws 50]` (the demo and the example sets that HOTLEAD_DATA
contains, with and without a scorecard, and with permuted outcomes; `--curve` draws the curve from 40 to 4,000
deals in .benchmarks/few_deals.html)
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.data import FOLDER, crm_toml
from benchmarks.support.measuring import end, show
from demo.run import SCORECARD_TOML
from features.columns import Floats
from features.crm.audit import Audit
from features.crm.load import load
from features.settings import load_settings
from scoring.model.evidence import MODEL, POINTS
from scoring.pages.charts import lines
from scoring.pages.page import Block, Chart, Heading, Page, to_html
from scoring.scorecard.scorecard import Scorecard
from training.fitting.blending import log_loss
from training.fitting.choosing import choose
from training.fitting.dataset import Dataset, build_dataset
from training.fitting.fit import fit

DRAWS, DRAWS_OF_THE_CURVE, JUDGED = 50, 6, 1_000
CURVE = (40, 100, 200, 400, 1_000, 2_000, 4_000)
SIZES = ((40, 0.5), (100, 0.5), (200, 0.5), (200, 0.1))
"""Numbers of deals to learn from, and the share that was won."""

MAX_LOSS, MAX_WORST = 0.002, 0.01
"""How much worse than the better of scorecard and base rate the mean of the draws may be, and how much worse
than the base rate a draw."""

CARDS = ("demo", "ibm_sales_win_loss")
EXAMPLES = ("x_education", "uci_bank", "ibm_sales_win_loss", "olist_funnel", "pti_opphistory")
BASE = "base"


@dataclass(frozen=True)
class Losses:
    """The log loss of each draw: of the model, the calibrated scorecard (of the base rate, without one) and
    the base rate, on the same deals."""

    model: NDArray[np.float64]
    points: NDArray[np.float64]
    base: NDArray[np.float64]

    @property
    def gain(self) -> tuple[float, float]:
        """The mean improvement of the model on the scorecard in log loss, and its standard error."""
        better = self.points - self.model
        return float(better.mean()), float(better.std(ddof=1) / np.sqrt(len(better)))

    @property
    def excess(self) -> float:
        """The mean log loss of the model less that of the better of scorecard and base rate."""
        return float(self.model.mean() - min(self.points.mean(), self.base.mean()))

    @property
    def worst(self) -> float:
        """The log loss of the model less that of the base rate in the worst draw."""
        return float((self.model - self.base).max())


def measure_losses(
    data: Dataset, deals: int, draws: int, seed: int = 0, won: float = 0.5, is_permuted: bool = False
) -> Losses:
    """Train on random leads, of which the share `won` is won, and evaluate on an equal draw of the others.

    With `is_permuted` outcomes are dealt to the leads at random, and nothing can be learnt.
    """
    wins = round(deals * won)
    results = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        permuted = _permute(data, rng) if is_permuted else data
        results.append(_measure_draw(permuted, wins, deals - wins, rng))
    return Losses(*(np.array([t[side] for t in results]) for side in (MODEL, POINTS, BASE)))


def _measure_draw(data: Dataset, wins: int, losses: int, rng: np.random.Generator) -> dict[str, float]:
    train, test = _draw_split(data, wins, losses, rng)
    seed = int(rng.integers(2**31))
    model = fit(train, choose(train, seed), seed)
    leads, rate = model.encode(test.all_columns), train.won.mean()
    base = np.full(len(test), np.log(rate / (1 - rate)))
    points: Floats = base if model.points is None else model.points.log_odds(leads.rating)
    log_odds_by_side = {MODEL: model.log_odds(leads), POINTS: points, BASE: base}
    return {side: log_loss(test.won, log_odds) for side, log_odds in log_odds_by_side.items()}


def _draw_split(data: Dataset, wins: int, losses: int, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
    """Training examples of so many won and lost leads, and test examples of others in the same ratio."""
    leads, won = _leads(data)
    drawn = [rng.permutation(leads[won == outcome]) for outcome in (True, False)]
    counts = (wins, losses)
    limit = JUDGED / max(counts)
    times = min(limit, *(len(one) / count - 1 for one, count in zip(drawn, counts, strict=True)))
    train = [one[:count] for one, count in zip(drawn, counts, strict=True)]
    test = [one[count : count + int(times * count)] for one, count in zip(drawn, counts, strict=True)]
    return tuple(
        data.take(np.flatnonzero(np.isin(data.examples.lead, np.concatenate(part)))) for part in (train, test)
    )  # type: ignore[return-value]


def _leads(data: Dataset) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The leads, and whether each was won in any of its examples."""
    leads, place = np.unique(data.examples.lead, return_inverse=True)
    return leads, np.bincount(place, data.won) > 0


def _permute(data: Dataset, rng: np.random.Generator) -> Dataset:
    """The examples with the outcomes of the leads dealt anew; all examples of a lead have one."""
    won, place = _leads(data)[1], np.unique(data.examples.lead, return_inverse=True)[1]
    return replace(data, examples=replace(data.examples, won=rng.permutation(won)[place]))


def demo_data(curve: bool = False) -> Dataset:
    """The demo's examples with its scorecard; the curve needs more wins and takes twice as many leads."""
    path = crm_toml("few_deals", 48_000, 17.0) if curve else crm_toml("model", 24_000, 17.0)
    path.with_name("scorecard.toml").write_bytes(SCORECARD_TOML.read_bytes())
    return _data(path)


def ibm_data() -> Dataset | None:
    """The examples of ibm_sales_win_loss with its scorecard; None if the data are not available."""
    return example_data("ibm_sales_win_loss")


def example_data(name: str) -> Dataset | None:
    """The examples of an example set; None if the data are not available."""
    root = Path(__file__).parents[1]
    data = Path(os.environ.get("HOTLEAD_DATA", root.parent / "shared" / "data")).resolve()
    if not (data / name).is_dir():
        return None
    os.environ["HOTLEAD_DATA"] = str(data)
    return _data(root / "examples" / name / "crm.toml")


def _data(path: Path) -> Dataset:
    """The examples of a crm.toml; its scorecard counts as written by people who know the trade."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(load_settings(path), Path(folder) / "r.csv")
        data = build_dataset(loaded, Audit.from_loaded(loaded).left_out, lambda _: None)
    return _with_card(data, learnt_through=None)


def _with_card(data: Dataset, **changes: Any) -> Dataset:
    return replace(data, card=Scorecard.model_validate({**data.card.model_dump(), **changes}))


def without_card(data: Dataset) -> Dataset:
    """The examples with a scorecard that has no rows."""
    return _with_card(data, fit=None, intent=None, triggers={}, exclusions={})


def main() -> None:
    """Measure and print the figures, and draw the curve with `--curve`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_deals")
    parser.add_argument("names", nargs="*", default=["demo", *EXAMPLES])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--curve", action="store_true")
    options = parser.parse_args()
    passed: list[bool] = []
    curves: dict[str, dict[int, Losses]] = {}
    for name in options.names:
        data = demo_data(options.curve) if name == "demo" else example_data(name)
        if data is None:
            print(f"{name}: skipped, the data are not here (set HOTLEAD_DATA)")
        elif options.curve:
            curves[name] = {deals: measure_losses(data, deals, DRAWS_OF_THE_CURVE) for deals in CURVE}
        else:
            passed += _measure_sizes(name, data, options.draws)
    if options.curve:
        _draw_curve(curves)
    end(passed)


def _measure_sizes(name: str, data: Dataset, draws: int) -> Iterator[bool]:
    """Print the figures of a set by size, with and without a scorecard; whether each is within its limit."""
    plain = without_card(data)
    for deals, won in SIZES:
        label = f"{name}, {deals * won:g} won of {deals:,}"
        if name in CARDS:
            losses = measure_losses(data, deals, draws, won=won)
            yield from _show_losses(f"{label}, scorecard", losses)
        yield from _show_losses(label, measure_losses(plain, deals, draws, won=won))
        permuted = measure_losses(plain, deals, draws, won=won, is_permuted=True)
        yield from _show_losses(f"{label}, permuted", permuted)


def _show_losses(label: str, losses: Losses) -> Iterator[bool]:
    figures = f"model {losses.model.mean():.4f}, scorecard {losses.points.mean():.4f}"
    figures += f", base rate {losses.base.mean():.4f}, s.e. {losses.gain[1]:.4f}"
    yield show(f"{label}, {len(losses.model)} draws: {figures}", losses.excess, MAX_LOSS, "")
    yield show(f"{label}: worst draw", losses.worst, MAX_WORST, "")


def _draw_curve(curves: Mapping[str, Mapping[int, Losses]]) -> None:
    """Write the curve as a page: mean log loss against the number of deals."""
    blocks: list[Block] = []
    for name, losses_by_deals in curves.items():
        sides = {
            "model": [float(result.model.mean()) for result in losses_by_deals.values()],
            "calibrated scorecard": [float(result.points.mean()) for result in losses_by_deals.values()],
        }
        deals = [f"{count:,}" for count in losses_by_deals]
        blocks += [Heading(name), Chart(partial(_figure, deals, sides))]
    page = FOLDER / "few_deals.html"
    page.write_text(to_html(Page("Log loss by number of deals", tuple(blocks), "en")), encoding="utf-8")
    print(f"Wrote {page}.")


def _figure(deals: list[str], sides: Mapping[str, list[float]]) -> Any:
    figure = lines(deals, sides, "mean log loss")
    return figure.update_yaxes(rangemode="normal").update_xaxes(type="category", title="deals")


if __name__ == "__main__":
    main()
