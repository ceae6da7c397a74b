"""The list by expected value: probability × amount, null where the amount is unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.columns import Floats
from features.crm.load import load
from features.crm_data import Crm
from features.moments import open_leads
from scoring.decision.scorer import Scorer
from serving.predictions.live_model import ModelWatcher
from tests.helpers.service.served_builder import make_company
from training.lists.batch import ListRequest, score_list


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Crm, Scorer]:
    """A company with ten open leads, and its scorer."""
    served = make_company(tmp_path_factory.mktemp("company"))
    watcher = ModelWatcher(served.crm, served.settings.bundles)
    watcher.refresh()
    return load(served.crm, served.settings.out / "rejects.csv").crm, watcher.live_model.scorer


def with_amounts(crm: Crm) -> tuple[Crm, Floats]:
    """The CRM with an amount for every second open lead."""
    amount = np.full(len(crm), np.nan)
    valued = open_leads(crm, crm.snapshot)[::2]
    amount[valued] = np.linspace(0, 5_000, len(valued))
    return replace(crm, open_amount=amount), amount


def list_of(crm: Crm, scorer: Scorer, folder: Path, as_of: int | None = None, **options: Any) -> Any:
    request = ListRequest(str(folder / "list.parquet"), crm.snapshot if as_of is None else as_of, **options)
    return score_list(crm, scorer, {}, request, lambda completed, total: None)


def test_the_expected_value_is_probability_times_amount(company: tuple[Crm, Scorer], tmp_path: Path) -> None:
    crm, amount = with_amounts(company[0])
    scored = list_of(crm, company[1], tmp_path)
    rows = scored.table.to_pylist()
    for row, lead in zip(rows, scored.rows, strict=True):
        if np.isnan(amount[lead]):
            assert (row["amount"], row["expected_value"]) == (None, None)
        else:
            assert row["amount"] == amount[lead]
            assert row["expected_value"] == pytest.approx(row["probability"] * amount[lead])
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    first = scored.first.scores("en", 0)[0]
    assert first.amount == rows[0]["amount"]
    assert first.model.expected_value == rows[0]["expected_value"]


def test_sorted_by_it_leads_of_unknown_amount_come_last(company: tuple[Crm, Scorer], tmp_path: Path) -> None:
    crm, amount = with_amounts(company[0])
    values = list_of(crm, company[1], tmp_path, sort="expected_value").table["expected_value"].to_pylist()
    present = [value for value in values if value is not None]
    assert values == [*sorted(present, reverse=True), *[None] * (len(values) - len(present))]
    assert len(present) == np.isfinite(amount).sum()
    assert 0.0 in present  # an amount of 0 is known


def test_an_amount_of_today_changes_neither_score_nor_earlier_list(
    company: tuple[Crm, Scorer], tmp_path: Path
) -> None:
    plain, (crm, _) = company[0], with_amounts(company[0])
    before, after = list_of(plain, company[1], tmp_path).table, list_of(crm, company[1], tmp_path).table
    dropped = ["amount", "expected_value"]
    assert after.drop_columns(dropped).equals(before.drop_columns(dropped))
    assert before["expected_value"].null_count == len(before)
    earlier = list_of(crm, company[1], tmp_path, as_of=crm.snapshot - 1).table
    assert earlier["amount"].null_count == len(earlier)


def test_another_amount_makes_another_list(company: tuple[Crm, Scorer], tmp_path: Path) -> None:
    """The chunks of an interrupted run are those of other amounts."""
    crm, amount = with_amounts(company[0])

    def interrupt(completed: int, total: int) -> None:
        raise KeyboardInterrupt

    request = ListRequest(str(tmp_path / "list.parquet"), crm.snapshot)
    with pytest.raises(KeyboardInterrupt):
        score_list(crm, company[1], {}, request, interrupt)
    doubled = list_of(replace(crm, open_amount=2 * amount), company[1], tmp_path)
    np.testing.assert_array_equal(
        np.nan_to_num(doubled.table["amount"].to_numpy(), nan=-1),
        np.nan_to_num(2 * amount[doubled.rows], nan=-1),
    )
