"""Leaks planted into real data are found, and hardly an innocent column of them is named.

A kind of leak is planted where the data can show it: not all of them have dates, and most no open leads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from features.clock import MS_PER_DAY, iso
from features.crm.audit import Audit
from features.crm.load import Loaded, load
from features.settings import load_settings
from tests.features.crm.test_audit_of_real_data import DATA, LEAKS, ROOT, THE_OUTCOME_ITSELF

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"HOTLEAD_DATA: there is no folder {DATA}"),
]

EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/crm.toml"))
WORDS = ["red", "green", "blue"]
MOST_INNOCENT = 2
Values = NDArray[Any]
Planter = Callable[[Loaded, np.random.Generator, float], Values]


@pytest.fixture(params=EXAMPLES)
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Loaded:
    monkeypatch.setenv("HOTLEAD_DATA", str(DATA))
    return load(load_settings(ROOT / "examples" / request.param / "crm.toml"), tmp_path / "rejects.csv")


def fill_at_close(loaded: Loaded, rng: np.random.Generator, share: float) -> Values:
    """A word in a share of the closed leads."""
    is_chosen = loaded.crm.outcomes.closed & (rng.random(len(loaded.crm)) < share)
    return np.where(is_chosen, rng.choice(WORDS, len(loaded.crm)), "")


def write_with_win(loaded: Loaded, rng: np.random.Generator, share: float) -> Values:
    """A word that all leads may have, and another in a share of the won ones."""
    is_chosen = loaded.crm.outcomes.won & (rng.random(len(loaded.crm)) < share)
    return np.where(is_chosen, "onboarding", rng.choice(WORDS, len(loaded.crm)))


def fill_since(loaded: Loaded, rng: np.random.Generator, share: float) -> Values:
    """Any word, and in a share of the newest 30% of the leads one by their outcome."""
    crm = loaded.crm
    is_new = (crm.created >= np.quantile(crm.created, 0.7)) & (rng.random(len(crm)) < share)
    word = np.where(crm.outcomes.won, "red", "blue")
    return np.where(is_new & crm.outcomes.closed, word, rng.choice(WORDS, len(crm)))


def write_date(loaded: Loaded, rng: np.random.Generator, share: float) -> Values:
    """A date near the close in a share of the closed leads, else one at any time before it."""
    crm = loaded.crm
    end = np.minimum(crm.outcomes.closed_at, crm.snapshot)
    any_time = crm.created + rng.random(len(crm)) * (end - crm.created)
    near_end = end + rng.normal(0, 0.4, len(crm)) * MS_PER_DAY
    is_chosen = crm.outcomes.closed & (rng.random(len(crm)) < share)
    return np.array([iso(int(ms)) for ms in np.where(is_chosen, near_end, any_time)], dtype=object)


def write_days(loaded: Loaded, rng: np.random.Generator, share: float) -> Values:
    """The days from the creation to the close in a share of the closed leads, else those of another lead."""
    crm = loaded.crm
    days = np.round((np.minimum(crm.outcomes.closed_at, crm.snapshot) - crm.created) / MS_PER_DAY)
    is_chosen = crm.outcomes.closed & (rng.random(len(crm)) < share)
    return np.where(is_chosen, days, rng.permutation(days)).astype(str)


def list_planters(loaded: Loaded) -> dict[str, tuple[Planter, float]]:
    """The kinds of leaks that the data can show, each with the least share of the leads that shows it."""
    crm = loaded.crm
    has_losses, has_open = (crm.outcomes.closed & ~crm.outcomes.won).any(), not crm.outcomes.closed.all()
    kinds: dict[str, tuple[Planter, float]] = {"written with win": (write_with_win, 0.3)}
    if has_losses and has_open:
        kinds["filled at close"] = (fill_at_close, 0.5)
    if crm.order != "none" and has_losses:
        kinds["filled since"] = (fill_since, 0.95)
    if crm.horizon_applies:
        kinds |= {"date": (write_date, 0.6), "days": (write_days, 0.7)}
    return kinds


def plant(loaded: Loaded, columns: dict[str, Values]) -> Loaded:
    table = loaded.leads
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values.tolist(), pa.string()))
    return replace(loaded, leads=table)


def name_columns(loaded: Loaded) -> set[str]:
    """The columns that the audit calls a leak or suspects."""
    findings = Audit.from_loaded(loaded).findings
    return {f.column for f in findings if f.column and f.severity in ("leak", "suspect")}


@pytest.mark.parametrize("strength", ["least", "full"])
def test_leaks_of_each_kind_are_found_in_real_data(
    real: Loaded, strength: str, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["real"]
    rng = np.random.default_rng(7)
    planted = {
        kind: make(real, rng, share if strength == "least" else 1.0)
        for kind, (make, share) in list_planters(real).items()
    }
    named = name_columns(plant(real, planted))
    assert named >= planted.keys()
    assert len(named - planted.keys() - LEAKS.get(name, set()) - THE_OUTCOME_ITSELF) <= MOST_INNOCENT
