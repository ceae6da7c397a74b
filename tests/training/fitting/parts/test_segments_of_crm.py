"""A territory that no feature shows: from the export to the reason of a score."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from features.crm.audit import Audit
from features.crm.load import Loaded, load
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from features.settings import load_settings
from scoring.decision.build_scorer import changed_features
from scoring.model.model import Model, sigmoid
from tests.helpers.small_crm import replace_text, small_crm
from training.fitting.choosing import choose
from training.fitting.dataset import Dataset, build_dataset
from training.fitting.fit import fit
from training.fitting.parts.trees import SIZES
from training.fitting.recipe import Recipe
from training.fitting.splits import split_newest

LEADS = 1500


def crm_with_territory(folder: Path, lost: float) -> Path:
    """A CRM whose deals in the north are lost with this chance though the features promise a win."""
    rng = np.random.default_rng(3)
    path = small_crm(folder, leads=LEADS, win_rate=0.4)
    north = rng.random(LEADS) < 0.4
    with (folder / "leads.csv").open(encoding="utf-8") as file:
        leads = list(csv.reader(file))
    area = ["territory", *np.where(north, "north", "south").tolist()]
    _write(folder / "leads.csv", [[*row, value] for row, value in zip(leads, area, strict=True)])
    with (folder / "deals.csv").open(encoding="utf-8") as file:
        head, *deals = csv.reader(file)
    for row, is_north in zip(deals, north, strict=False):
        if is_north and rng.random() < lost:
            row[1] = "lost"
    _write(folder / "deals.csv", [head, *deals])
    with path.open("a", encoding="utf-8") as file:
        file.write('\n[segments]\narea = "territory"\n')
    return path


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def read(path: Path) -> tuple[Loaded, Dataset]:
    loaded = load(load_settings(path), path.with_name("rejects.csv"))
    return loaded, build_dataset(loaded, Audit.from_loaded(loaded).left_out, lambda _: None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, Dataset, Recipe, Model]:
    loaded, data = read(crm_with_territory(tmp_path_factory.mktemp("north"), lost=0.7))
    older = data.take(split_newest(data.examples, 0).train)
    recipe = choose(older, 0, {"small_trees": SIZES["small_trees"]})
    return loaded, data, recipe, fit(older, recipe, 0)


def test_the_territory_gets_a_term_learnt_on_older_deals(
    trained: tuple[Loaded, Dataset, Recipe, Model],
) -> None:
    _, data, recipe, model = trained
    assert "area" not in data.table.names
    assert model.table.names == (*data.table.names, "area")
    assert recipe.segments["area"]["north"] < -0.5 < 0 < recipe.segments["area"]["south"]


def test_the_error_of_the_territory_shrinks_on_newer_deals(
    trained: tuple[Loaded, Dataset, Recipe, Model],
) -> None:
    _, data, recipe, model = trained
    split = split_newest(data.examples, 0)
    newer = data.take(split.test)
    without = fit(data.take(split.train), Recipe(**{**vars(recipe), "segments": {}}), 0)
    values = newer.segments["area"].values
    north = values.codes == values.categories.index("north")
    gaps = [
        abs(sigmoid(m.log_odds(m.encode(newer.all_columns)))[north].mean() - newer.won[north].mean())
        for m in (model, without)
    ]
    assert gaps[0] < gaps[1] / 2


def test_scoring_knows_the_territory_and_names_it(trained: tuple[Loaded, Dataset, Recipe, Model]) -> None:
    loaded, _, _, model = trained
    assert changed_features(loaded.settings, model) == []
    table = loaded.settings.with_segments(model.table.names)
    assert table.names == model.table.names
    assert table.label("area", "en") == "territory"
    leads = open_leads(loaded.crm, loaded.crm.snapshot)
    moments = np.full(len(leads), loaded.crm.snapshot, dtype=np.int64)
    columns = table.compute_many(ManyLeads(Histories(loaded.crm), leads, moments))
    reason = model.explain(model.encode(columns)).contributions[:, -1]
    area = np.array(columns["area"].to_list())  # type: ignore[union-attr]
    assert set(area) == {"north", "south"}
    assert (reason[area == "north"] < 0).all()
    assert (reason[area == "south"] > 0).all()


def test_a_territory_that_is_filled_at_the_close_stays_out(tmp_path: Path) -> None:
    path = crm_with_territory(tmp_path, lost=1.0)
    with (tmp_path / "deals.csv").open(encoding="utf-8") as file:
        won = {row[0] for row in csv.reader(file) if row[1] == "won"}
    with (tmp_path / "leads.csv").open(encoding="utf-8") as file:
        head, *leads = csv.reader(file)
    _write(tmp_path / "leads.csv", [head, *([*row[:-1], "x" if row[0] in won else ""] for row in leads)])
    assert read(path)[1].segments == {}


def test_a_segment_whose_column_is_a_feature_has_its_level_there(tmp_path: Path) -> None:
    path = crm_with_territory(tmp_path, lost=0.0)
    replace_text(path, 'area = "territory"', 'area = "territory"\nsource = "channel"')
    settings = load_settings(path)
    assert list(settings.segment_attributes) == ["area"]
    assert settings.with_segments(["area"]).names == (*settings.table.names, "area")
    assert settings.with_segments([]).names == settings.table.names


def test_a_segment_named_like_a_feature_and_one_of_numbers(tmp_path: Path) -> None:
    path = crm_with_territory(tmp_path, lost=0.0)
    replace_text(
        path, 'area = "territory"', 'employees = "territory"\nsize = "employees"\nagain = "territory"'
    )
    attributes = load_settings(path).segment_attributes
    assert {name: attribute.column for name, attribute in attributes.items()} == {
        "segment_employees": "territory"
    }
