"""What was served, as the store tells it: first live answers, what became of them, drift, data age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.clock import NEVER
from features.errors import OutsideError
from scoring.evaluation.monitoring import ServedPredictions
from scoring.model.model import sigmoid
from scoring.model.points import PointsPart
from scoring.pages.page import to_html
from serving.monitoring import monitor as served
from serving.monitoring.monitor import MonitoringReport, monitor_service, monitor_store
from serving.monitoring.page import monitor_page
from serving.predictions.live_model import ModelWatcher
from serving.store.store import Store
from tests.helpers.service.served_builder import DAY, Company, fill_store, make_company
from tests.helpers.service.stores import MOMENT_MS, activity, prediction, record, server, store, url

__all__ = ["server", "store", "url"]
LONG_AGO = 0


def by_version(
    store: Store, now: int = MOMENT_MS + 100, since: int = LONG_AGO
) -> Mapping[str, ServedPredictions]:
    closed = store.read(lambda connection: served._read_closes(connection, now))
    groups = store.read(lambda connection: served._read_served(connection, closed, now, since, None))
    return {group.version: group for group in groups}


def looked_at(store: Store, deployment: Company, now: int, since: int | None = None) -> MonitoringReport:
    watch = ModelWatcher(deployment.crm, deployment.settings.bundles)
    watch.refresh()
    return monitor_store(store, deployment.settings, deployment.crm, watch.live_model.scorer, now, since)


def test_the_first_live_answer_of_each_version_counts(store: Store) -> None:
    store.add_predictions(
        [
            prediction("A", MOMENT_MS, probability=0.9, replay=True),
            prediction("A", MOMENT_MS + 1, probability=0.2),
            prediction("A", MOMENT_MS + 2, probability=0.7),
            prediction("A", MOMENT_MS + 3, model_version="8", probability=0.6),
            prediction("B", MOMENT_MS, model_version=None, probability=None),
        ]
    ).result()
    groups = by_version(store)
    assert groups["7"].probability.tolist() == [0.2]
    assert groups["8"].probability.tolist() == [0.6]
    assert np.isnan(groups["rules"].probability).all()


def test_first_is_by_moment_not_by_arrival_and_counts_once(store: Store) -> None:
    store.add_predictions([prediction("A", MOMENT_MS + 5, probability=0.5)]).result()
    waited = prediction("A", MOMENT_MS, scored_at=MOMENT_MS, probability=0.1)
    store.add_predictions([waited, waited._replace(request_id="r-2")]).result()
    assert by_version(store)["7"].probability.tolist() == [0.1]


def test_the_rules_have_the_probability_of_the_points_part_of_the_version_in_use(
    store: Store, tmp_path: Path
) -> None:
    deployment = make_company(tmp_path)
    watch = ModelWatcher(deployment.crm, deployment.settings.bundles)
    watch.refresh()
    judge = watch.live_model.scorer.calibrated_model
    assert judge is not None
    part = PointsPart(
        card=judge.model.card,
        features=(),
        intercept=-2.0,
        per_point=0.1,
        trigger=1.0,
        exclusion=3.0,
        mean=np.zeros(0),
    )
    model = replace(judge.model, points=part)
    fields = {"model_version": model.version, "card_version": model.card.version, "points": 10}
    fired, never = '{"triggers":["date"],"exclusions":[]}', '{"triggers":[],"exclusions":["rival"]}'
    store.add_predictions(
        [
            prediction("A", **fields),
            prediction("B", **fields, detail=fired),
            prediction("C", **fields, detail=never),
            prediction("D", **{**fields, "card_version": "another"}),
            prediction("E", **{**fields, "model_version": "8"}),
        ]
    ).result()
    groups = {
        group.version: group
        for group in store.read(
            lambda connection: served._read_served(connection, {}, MOMENT_MS + 1, 0, model)
        )
    }
    expected = [sigmoid(np.array([x]))[0] for x in (-1.0, 0.0, -4.0)]
    assert sorted(groups[model.version].rules_chance.tolist())[:3] == pytest.approx(sorted(expected))
    assert np.isnan(groups[model.version].rules_chance).sum() == 1
    assert np.isnan(groups["8"].rules_chance).all()


def test_since_does_not_make_a_later_answer_the_first(store: Store) -> None:
    store.add_predictions(
        [prediction("A", MOMENT_MS), prediction("A", MOMENT_MS + 5), prediction("B", MOMENT_MS + 5)]
    ).result()
    assert by_version(store, since=MOMENT_MS + 1)["7"].as_of.tolist() == [MOMENT_MS + 5]


def test_the_latest_version_of_an_outcome_counts_and_the_first_of_several_deals(store: Store) -> None:
    store.add_predictions([prediction(lead, MOMENT_MS) for lead in ("A", "B", "C")]).result()
    store.add_records(
        [
            record("outcomes", "o", MOMENT_MS + 9, lead_id="A", outcome="lost"),
            record("outcomes", "o", MOMENT_MS + 10, 2, lead_id="A", outcome="won"),
            record("outcomes", "p", MOMENT_MS + 20, lead_id="B", outcome="won"),
            record("outcomes", "q", MOMENT_MS + 4, lead_id="B", outcome="lost"),
        ]
    ).result()
    group = by_version(store)["7"]
    assert sorted(zip(group.closed_at.tolist(), group.won_at.tolist(), strict=True)) == [
        (MOMENT_MS + 4, MOMENT_MS + 20),
        (MOMENT_MS + 10, MOMENT_MS + 10),
        (NEVER, NEVER),
    ]


def test_nothing_after_now_is_used(store: Store) -> None:
    store.add_predictions([prediction("A", MOMENT_MS), prediction("B", MOMENT_MS + 500)]).result()
    store.add_records(
        [
            record("outcomes", "o", MOMENT_MS + 300, lead_id="A", outcome="won"),
            activity("a", MOMENT_MS + 1),
            activity("b", MOMENT_MS + 400),
        ]
    ).result()
    group = by_version(store, now=MOMENT_MS + 100)["7"]
    assert group.as_of.tolist() == [MOMENT_MS]
    assert group.won_at.tolist() == [NEVER]
    newest = store.read(lambda connection: served._read_newest(connection, MOMENT_MS + 100))
    assert (newest["activities"], newest["outcomes"], newest["predictions"]) == (
        MOMENT_MS + 1,
        None,
        MOMENT_MS,
    )


def test_deciders_are_counted_over_live_scores_of_the_last_days(store: Store) -> None:
    store.add_predictions(
        [
            prediction("A", MOMENT_MS),
            prediction("B", MOMENT_MS, replay=True),
            prediction("C", MOMENT_MS - 40 * DAY),
            prediction("D", MOMENT_MS, decided_by="rules", fallback="no_model", model_version=None),
        ]
    ).result()
    decided_by, fallbacks = store.read(lambda connection: served._count_decisions(connection, MOMENT_MS + 1))
    assert decided_by == {"model": 1, "rules": 1}
    assert fallbacks == {"no_model": 1}


@pytest.mark.parametrize(
    ("bias", "channels", "advice"),
    [
        (0.0, ("referral", "ads"), "fine"),
        (0.3, ("referral", "ads"), "the_world_moved"),
        (0.0, ("ads", "fair"), "look_at_this_feature"),
        (0.3, ("ads", "fair"), "retrain"),
    ],
)
def test_the_advice_fits_what_happened(
    store: Store, tmp_path: Path, bias: float, channels: tuple[str, ...], advice: str
) -> None:
    deployment = make_company(tmp_path)
    fill_store(store, deployment.model, MOMENT_MS, bias, channels)
    report = looked_at(store, deployment, MOMENT_MS)
    assert report.advice == advice
    assert report.sampled == 600  # 300 leads, at the ages of 0 and 7 days
    assert [n for n, s in report.shifts.items() if s.is_shifted] == (
        ["channel"] if "fair" in channels else []
    )
    (performance,) = report.performance
    assert (performance.leads, performance.judged, performance.waiting) == (1_000, 1_000, 0)


def test_before_the_horizon_has_ended_nothing_is_judged(store: Store, tmp_path: Path) -> None:
    deployment = make_company(tmp_path)
    fill_store(store, deployment.model, MOMENT_MS)
    report = looked_at(
        store, deployment, MOMENT_MS - 31 * DAY
    )  # 29 days after the answers: most deals are closed
    assert report.advice == "too_little_known"
    (performance,) = report.performance
    assert (performance.judged, performance.won, performance.waiting) == (0, 0, 1_000)
    assert looked_at(store, deployment, MOMENT_MS, since=MOMENT_MS - DAY).performance == []


def test_a_feature_that_no_served_lead_has_is_named_with_what_to_do(store: Store, tmp_path: Path) -> None:
    """The CRM has renamed the column "channel": what it sends under another name is not stored."""
    company = make_company(tmp_path)
    leads = [f"N{i}" for i in range(20)]
    created = MOMENT_MS - DAY
    fields = {"attributes": {"employees": 5.0}, "created_at": created}
    records = [record("leads", lead, created, lead_id=lead, **fields) for lead in leads]
    visits = [activity(lead, created - 1, lead_id=lead, type="visit") for lead in leads]
    store.add_records([*records, *visits]).result()
    scored = [*leads, *(f"in a body {i}" for i in range(20))]
    answers = [prediction(lead, MOMENT_MS, model_version=company.model) for lead in scored]
    store.add_predictions(answers).result()
    report = looked_at(store, company, MOMENT_MS + 1)
    assert [(gap.feature, gap.cause, gap.leads) for gap in report.gaps] == [("channel", "empty", 20)]
    assert report.advice == "look_at_this_feature"
    page = to_html(monitor_page(report, company.crm.table, "small", "en"))
    assert "column still called" in page
    assert not looked_at(store, company, MOMENT_MS + 31 * DAY).gaps


def test_each_scorecard_version_is_reported_when_there_are_several(store: Store, tmp_path: Path) -> None:
    deployment = make_company(tmp_path)
    fill_store(store, deployment.model, MOMENT_MS)
    store.add_predictions(
        [
            prediction(f"B{i}", MOMENT_MS - 50 * DAY, model_version=deployment.model, card_version="other")
            for i in range(3)
        ]
    ).result()
    performance = looked_at(store, deployment, MOMENT_MS).performance
    assert [(row.card, row.leads) for row in performance] == [(None, 1_003), ("c0ffee", 1_000), ("other", 3)]
    assert performance[1].differences is not None
    assert performance[2].differences is None


def test_an_empty_store_gives_too_little_known(store: Store, tmp_path: Path) -> None:
    report = looked_at(store, make_company(tmp_path), MOMENT_MS)
    assert (report.advice, report.performance, report.shifts) == ("too_little_known", [], {})
    assert set(report.newest.values()) == {None}


def test_a_missing_or_unavailable_store_is_an_error(tmp_path: Path) -> None:
    deployment = make_company(tmp_path)
    with pytest.raises(OutsideError, match="There is no store"):
        monitor_service(deployment.settings, deployment.crm, MOMENT_MS)
    assert not (tmp_path / "hotlead-out" / "store.db").exists()
    unreachable = company_at(tmp_path / "other", "postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(OutsideError, match="is away") as excinfo:
        monitor_service(unreachable.settings, unreachable.crm, MOMENT_MS)
    assert "secret" not in str(excinfo.value)


def company_at(folder: Path, url: str) -> Company:
    folder.mkdir()
    return make_company(folder, url)
