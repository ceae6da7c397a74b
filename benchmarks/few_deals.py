"""Compares the model with the calibrated scorecard when both are trained on few deals.

`python -m benchmarks.few_deals` (the demo, and ibm_sales_win_loss if HOTLEAD_DATA contains it; `--curve`
draws the curve from 40 to 4,000 deals in .benchmarks/few_deals.html)
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.data import FOLDER, crm_toml
from benchmarks.support.measuring import end, show
from demo.run import SCORECARD_TOML
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


@dataclass(frozen=True)
class Losses:
    """The log loss of each draw, of the model and of the calibrated scorecard on the same deals."""

    model: NDArray[np.float64]
    points: NDArray[np.float64]

    @property
    def gain(self) -> tuple[float, float]:
        """The mean improvement of the model in log loss, and its standard error."""
        better = self.points - self.model
        return float(better.mean()), float(better.std(ddof=1) / np.sqrt(len(better)))


def measure_losses(data: Dataset, deals: int, draws: int, seed: int = 0) -> Losses:
    """Train on random leads, half of them won, and evaluate on an equal draw of the others."""
    results = [_measure_draw(data, deals, np.random.default_rng([seed, draw])) for draw in range(draws)]
    return Losses(*(np.array([t[side] for t in results]) for side in (MODEL, POINTS)))


def _measure_draw(data: Dataset, deals: int, rng: np.random.Generator) -> dict[str, float]:
    train, test = _draw_split(data, deals // 2, rng)
    seed = int(rng.integers(2**31))
    model = fit(train, choose(train, seed), seed)
    leads = model.encode(test.all_columns)
    assert model.points is not None
    log_odds_by_side = {MODEL: model.log_odds(leads), POINTS: model.points.log_odds(leads.rating)}
    return {side: log_loss(test.won, log_odds) for side, log_odds in log_odds_by_side.items()}


def _draw_split(data: Dataset, per_outcome: int, rng: np.random.Generator) -> tuple[Dataset, Dataset]:
    """Row numbers of training examples, half of them won, and of test examples from the other leads."""
    leads, won = _leads(data)
    drawn = [rng.permutation(leads[won == outcome]) for outcome in (True, False)]
    others = min(JUDGED, *(len(one) - per_outcome for one in drawn))
    train = [one[:per_outcome] for one in drawn]
    test = [one[per_outcome : per_outcome + others] for one in drawn]
    return tuple(
        data.take(np.flatnonzero(np.isin(data.examples.lead, np.concatenate(part)))) for part in (train, test)
    )  # type: ignore[return-value]


def _leads(data: Dataset) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The leads, and whether each was won in any of its examples."""
    leads, place = np.unique(data.examples.lead, return_inverse=True)
    return leads, np.bincount(place, data.won) > 0


def demo_data(curve: bool = False) -> Dataset:
    """The demo's examples with its scorecard; the curve needs more wins and takes twice as many leads."""
    path = crm_toml("few_deals", 48_000, 17.0) if curve else crm_toml("model", 24_000, 17.0)
    path.with_name("scorecard.toml").write_bytes(SCORECARD_TOML.read_bytes())
    return _data(path)


def ibm_data() -> Dataset | None:
    """The examples of ibm_sales_win_loss with its scorecard; None if the data are not available."""
    root = Path(__file__).parents[1]
    data = Path(os.environ.get("HOTLEAD_DATA", root.parent / "shared" / "data")).resolve()
    if not (data / "ibm_sales_win_loss").is_dir():
        return None
    os.environ["HOTLEAD_DATA"] = str(data)
    return _data(root / "examples" / "ibm_sales_win_loss" / "crm.toml")


def _data(path: Path) -> Dataset:
    """The examples of a crm.toml; its scorecard counts as written by people who know the trade."""
    with tempfile.TemporaryDirectory() as folder:
        data = build_dataset(load(load_settings(path), Path(folder) / "r.csv"), (), lambda _: None)
    card = Scorecard.model_validate({**data.card.model_dump(), "learnt_through": None})
    return replace(data, card=card)


def main() -> None:
    """Measure and print the figures, and draw the curve with `--curve`."""
    passed: list[bool] = []
    curves: dict[str, dict[int, Losses]] = {}
    for name, data in {"demo": demo_data("--curve" in sys.argv), "ibm_sales_win_loss": ibm_data()}.items():
        if data is None:
            print(f"{name}: skipped, the data are not here (set HOTLEAD_DATA)")
            continue
        steps = CURVE if "--curve" in sys.argv else CURVE[:1]
        losses_by_deals = {
            deals: measure_losses(data, deals, DRAWS if deals == CURVE[0] else DRAWS_OF_THE_CURVE)
            for deals in steps
        }
        passed += [_show_losses(name, deals, result) for deals, result in losses_by_deals.items()]
        curves[name] = losses_by_deals
    if "--curve" in sys.argv:
        _draw_curve(curves)
    end(passed)


def _show_losses(name: str, deals: int, result: Losses) -> bool:
    gain, error = result.gain
    label = f"{name}, {deals:,} deals: model {result.model.mean():.4f} less scorecard"
    return show(f"{label} {result.points.mean():.4f} (s.e. {error:.4f})", -gain, 0, "")


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
