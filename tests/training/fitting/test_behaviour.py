"""How the demo's model behaves: what must not move a score, what must, and how well it ranks."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from demo.crm import true_probability
from features.clock import MS_PER_DAY
from features.columns import Floats, Texts, encode_texts
from features.crm.load import Loaded, load
from features.crm_data import Activities, Changes, Crm
from features.many_leads import Histories, ManyLeads
from features.moments import open_leads
from features.settings import load_settings
from scoring.model.evidence import Evidence
from scoring.model.model import sigmoid
from scoring.model.pseudonyms import Pseudonyms, key_file
from scoring.statistics.metrics import rank_leads, roc_auc
from tests.conftest import Demo
from tests.helpers.small_crm import replace_text

HOUR = MS_PER_DAY // 24


def scores(demo: Demo, crm: Crm, leads: NDArray[np.int32] | None = None) -> Floats:
    """The probability of the open leads at the snapshot."""
    leads = open_leads(crm, crm.snapshot) if leads is None else leads
    moments = np.full(len(leads), crm.snapshot, dtype=np.int64)
    return demo.model.probability(demo.model.table.compute_many(ManyLeads(Histories(crm), leads, moments)))


def answered(crm: Crm, column: str, value: str) -> Crm:
    """Every lead said so an hour before the snapshot."""
    history = crm.changes[column]
    assert isinstance(history.value, Texts)
    everyone = np.arange(len(crm), dtype=np.int32)
    changes = Changes(
        np.concatenate([history.lead, everyone]),
        np.concatenate([history.time_ms, np.full(len(crm), crm.snapshot - HOUR)]),
        encode_texts(history.value.to_list() + [value] * len(crm)),
    )
    return replace(crm, changes={**crm.changes, column: changes})


def with_activity(crm: Crm, activity: str) -> Crm:
    """Every lead did this an hour before the snapshot."""
    a = crm.activities
    assert a.value is not None
    count = len(crm)
    more = Activities(
        np.concatenate([a.lead, np.arange(count, dtype=np.int32)]),
        np.concatenate([a.type, np.full(count, a.types.index(activity), np.int16)]),
        np.concatenate([a.time_ms, np.full(count, crm.snapshot - HOUR)]),
        np.concatenate([a.value, np.full(count, np.nan)]),
        a.types,
    )
    return replace(crm, activities=more)


def everyone_is(crm: Crm, column: str, value: str) -> Crm:
    return replace(crm, attributes={**crm.attributes, column: encode_texts([value] * len(crm))})


# -- what must not move a score -------------------------------------------------------------


def test_names_of_leads_do_not_count(demo: Demo, demo_loaded: Loaded) -> None:
    crm = demo_loaded.crm
    renamed = replace(crm, lead_ids=np.array([f"他社-{i}" for i in range(len(crm))], dtype=object))
    np.testing.assert_array_equal(scores(demo, renamed), scores(demo, crm))


def test_words_do_not_count(demo: Demo, demo_loaded: Loaded, demo_copy: Path) -> None:
    replace_text(demo_copy, 'en = "Price page viewed"', 'en = "Looked at prices"')
    read = load(load_settings(demo_copy), demo_copy.with_name("rejects.csv"))
    assert read.settings.table.fingerprint == demo_loaded.settings.table.fingerprint
    np.testing.assert_array_equal(scores(demo, read.crm), scores(demo, demo_loaded.crm))


def test_order_of_rows_does_not_count(demo: Demo, demo_loaded: Loaded, demo_copy: Path) -> None:
    with sqlite3.connect(demo_copy.with_name("crm.db")) as database:
        for table in ("leads", "deals", "activities", "changes"):
            database.execute(f"CREATE TABLE s AS SELECT * FROM {table} ORDER BY random()")
            database.execute(f"DROP TABLE {table}")
            database.execute(f"ALTER TABLE s RENAME TO {table}")
    shuffled = load(load_settings(demo_copy), demo_copy.with_name("rejects.csv")).crm
    crm, lead_scores = demo_loaded.crm, []
    assert list(shuffled.lead_ids) != list(crm.lead_ids)
    for one in (shuffled, crm):
        rows = open_leads(one, one.snapshot)
        lead_scores.append(dict(zip(one.lead_ids[rows], scores(demo, one, rows), strict=True)))
    assert lead_scores[0].keys() == lead_scores[1].keys()
    for lead, probability in lead_scores[0].items():
        assert probability == pytest.approx(lead_scores[1][lead], abs=1e-9), lead


# -- what must move it, and where ------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "low", "high"),
    [("budget", "none", "approved"), ("authority", "user", "decider"), ("need", "vague", "concrete")],
)
def test_better_answers_raise_the_probability(
    demo: Demo, demo_loaded: Loaded, column: str, low: str, high: str
) -> None:
    crm = demo_loaded.crm
    assert scores(demo, answered(crm, column, high)).mean() > (
        1.05 * scores(demo, answered(crm, column, low)).mean()
    )


def test_decider_with_budget_who_asks_for_a_quote_is_much_likelier(demo: Demo, demo_loaded: Loaded) -> None:
    crm = demo_loaded.crm
    ready = with_activity(
        answered(answered(crm, "authority", "decider"), "budget", "approved"), "quote_request"
    )
    before, after = scores(demo, crm), scores(demo, ready)
    assert after.mean() > 1.5 * before.mean()
    assert (after > before).mean() > 0.95


@pytest.mark.parametrize("column", ["is_competitor", "is_student"])
def test_competitors_and_students_are_no_likelier(demo: Demo, demo_loaded: Loaded, column: str) -> None:
    crm = demo_loaded.crm
    yes, no = (scores(demo, everyone_is(crm, column, value)) for value in ("yes", "no"))
    assert yes.mean() <= no.mean()


# -- the least that it must be able to do ------------------------------------------------------


def test_ranks_the_newest_leads(demo: Demo) -> None:
    evidence = demo.trained.evidence
    ranking = rank_leads(evidence.won, sigmoid(evidence.scores["model"]), evidence.amount)
    assert roc_auc(ranking) > 0.7


def test_likeliest_tenth_wins_far_more_often_than_the_least_likely(demo: Demo) -> None:
    evidence = demo.trained.evidence
    order = np.argsort(-evidence.scores["model"])
    tenth = len(order) // 10
    assert evidence.won[order[:tenth]].mean() > 10 * max(evidence.won[order[-tenth:]].mean(), 0.01)


# -- the truth ---------------------------------------------------------------------------------


def test_probabilities_are_true_band_by_band(demo: Demo) -> None:
    """The mean probability of each fifth of the newest leads against the mean of the truth.

    The measured model never saw these leads. A band may be off by two standard errors of a win
    rate counted on its leads, and by one percent more.
    """
    evidence, probability, true = judged_with_truth(demo)
    leads_of_band = len(np.unique(evidence.lead)) / 5
    means = []
    for band in np.array_split(np.argsort(probability), 5):
        predicted, observed = float(probability[band].mean()), float(true[band].mean())
        error = np.sqrt(observed * (1 - observed) / leads_of_band)
        assert abs(predicted - observed) < 2 * error + 0.01, (predicted, observed)
        means.append(observed)
    assert means == sorted(means)
    assert means[-1] > 8 * means[0]


def test_probabilities_are_true_in_the_mean(demo: Demo) -> None:
    _, probability, true = judged_with_truth(demo)
    assert probability.mean() == pytest.approx(true.mean(), rel=0.2)


def judged_with_truth(demo: Demo) -> tuple[Evidence, Floats, Floats]:
    """The newest examples, what the measured model told of them, and their true probability."""
    evidence, truth = demo.trained.evidence, pq.read_table(demo.folder / "truth.parquet")
    pseudonyms = Pseudonyms.load(key_file(demo.out, {}))
    row_of = {pseudonyms.derive(i): row for row, i in enumerate(truth["lead_id"].to_pylist())}
    rows = np.array([row_of[lead] for lead in evidence.lead])
    horizon = demo.trained.loaded.settings.target.horizon_days
    true = true_probability(truth, rows, evidence.landmark.astype(np.float64), horizon)
    return evidence, sigmoid(evidence.scores["model"]), true
