"""What was served, as the store tells it: first live answers, what became of them, drift, data age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.clock import NEVER
from features.errors import OutsideError
from scoring.evaluation.monitoring import Served
from scoring.model.model import sigmoid
from scoring.model.points import PointsPart
from serving.monitoring import monitor as served
from serving.monitoring.monitor import Monitored, monitored, watched
from serving.predictions.live_model import Watch
from serving.store.store import Store
from tests.helpers.served_builder import DAY, Company, company, live
from tests.helpers.stores import AT, activity, prediction, record, server, store, url

__all__ = ["server", "store", "url"]
LONG_AGO = 0


def by_version(store: Store, now: int = AT + 100, since: int = LONG_AGO) -> Mapping[str, Served]:
    closed = store.see(lambda at: served._closed(at, now))
    told = store.see(lambda at: served._served(at, closed, now, since, None))
    return {each.version: each for each in told}


def looked_at(store: Store, made: Company, now: int, since: int | None = None) -> Monitored:
    watch = Watch(made.crm, made.settings.bundles)
    watch.refresh()
    return monitored(store, made.settings, made.crm, watch.in_use.scorer, now, since)


def test_the_first_live_answer_of_each_version_counts(store: Store) -> None:
    store.remember(
        [
            prediction("A", AT, probability=0.9, replay=True),
            prediction("A", AT + 1, probability=0.2),
            prediction("A", AT + 2, probability=0.7),
            prediction("A", AT + 3, model_version="8", probability=0.6),
            prediction("B", AT, model_version=None, probability=None),
        ]
    ).result()
    told = by_version(store)
    assert told["7"].probability.tolist() == [0.2]
    assert told["8"].probability.tolist() == [0.6]
    assert np.isnan(told["rules"].probability).all()


def test_first_is_by_moment_not_by_arrival_and_counts_once(store: Store) -> None:
    store.remember([prediction("A", AT + 5, probability=0.5)]).result()
    waited = prediction("A", AT, scored_at=AT, probability=0.1)
    store.remember([waited, waited._replace(request_id="r-2")]).result()
    assert by_version(store)["7"].probability.tolist() == [0.1]


def test_the_rules_have_the_probability_of_the_points_part_of_the_version_in_use(
    store: Store, tmp_path: Path
) -> None:
    made = company(tmp_path)
    watch = Watch(made.crm, made.settings.bundles)
    watch.refresh()
    judge = watch.in_use.scorer.judge
    assert judge is not None
    part = PointsPart(judge.model.card, (), -2.0, 0.1, 1.0, 3.0, np.zeros(0))
    model = replace(judge.model, points=part)
    own = {"model_version": model.version, "card_version": model.card.version, "points": 10}
    fired, never = '{"triggers":["date"],"exclusions":[]}', '{"triggers":[],"exclusions":["rival"]}'
    store.remember(
        [
            prediction("A", **own),
            prediction("B", **own, detail=fired),
            prediction("C", **own, detail=never),
            prediction("D", **{**own, "card_version": "another"}),
            prediction("E", **{**own, "model_version": "8"}),
        ]
    ).result()
    told = {each.version: each for each in store.see(lambda at: served._served(at, {}, AT + 1, 0, model))}
    expected = [sigmoid(np.array([x]))[0] for x in (-1.0, 0.0, -4.0)]
    assert sorted(told[model.version].rules_chance.tolist())[:3] == pytest.approx(sorted(expected))
    assert np.isnan(told[model.version].rules_chance).sum() == 1
    assert np.isnan(told["8"].rules_chance).all()


def test_since_does_not_make_a_later_answer_the_first(store: Store) -> None:
    store.remember([prediction("A", AT), prediction("A", AT + 5), prediction("B", AT + 5)]).result()
    assert by_version(store, since=AT + 1)["7"].as_of.tolist() == [AT + 5]


def test_the_latest_version_of_an_outcome_counts_and_the_first_of_several_deals(
    store: Store,
) -> None:
    store.remember([prediction(lead, AT) for lead in ("A", "B", "C")]).result()
    store.accept(
        [
            record("outcomes", "o", AT + 9, lead_id="A", outcome="lost"),
            record("outcomes", "o", AT + 10, 2, lead_id="A", outcome="won"),
            record("outcomes", "p", AT + 20, lead_id="B", outcome="won"),
            record("outcomes", "q", AT + 4, lead_id="B", outcome="lost"),
        ]
    ).result()
    told = by_version(store)["7"]
    assert sorted(zip(told.closed_at.tolist(), told.won_at.tolist(), strict=True)) == [
        (AT + 4, AT + 20),
        (AT + 10, AT + 10),
        (NEVER, NEVER),
    ]


def test_nothing_after_now_is_seen(store: Store) -> None:
    store.remember([prediction("A", AT), prediction("B", AT + 500)]).result()
    store.accept(
        [
            record("outcomes", "o", AT + 300, lead_id="A", outcome="won"),
            activity("a", AT + 1),
            activity("b", AT + 400),
        ]
    ).result()
    told = by_version(store, now=AT + 100)["7"]
    assert told.as_of.tolist() == [AT]
    assert told.won_at.tolist() == [NEVER]
    newest = store.see(lambda at: served._newest(at, AT + 100))
    assert (newest["activities"], newest["outcomes"], newest["predictions"]) == (AT + 1, None, AT)


def test_who_decided_is_counted_of_live_answers_of_the_last_days(store: Store) -> None:
    store.remember(
        [
            prediction("A", AT),
            prediction("B", AT, replay=True),
            prediction("C", AT - 40 * DAY),
            prediction("D", AT, decided_by="rules", fallback="no_model", model_version=None),
        ]
    ).result()
    by, fallbacks = store.see(lambda at: served._shares(at, AT + 1))
    assert by == {"model": 1, "rules": 1}
    assert fallbacks == {"no_model": 1}


@pytest.mark.parametrize(
    ("bias", "channels", "told"),
    [
        (0.0, ("referral", "ads"), "fine"),
        (0.3, ("referral", "ads"), "the_world_moved"),
        (0.0, ("ads", "fair"), "look_at_this_feature"),
        (0.3, ("ads", "fair"), "retrain"),
    ],
)
def test_the_advice_fits_what_happened(
    store: Store, tmp_path: Path, bias: float, channels: tuple[str, ...], told: str
) -> None:
    made = company(tmp_path)
    live(store, made.model, AT, bias, channels)
    found = looked_at(store, made, AT)
    assert found.advice == told
    assert found.sampled == 600  # 300 leads, at the ages of 0 and 7 days
    assert [n for n, s in found.shifts.items() if s.much] == (["channel"] if "fair" in channels else [])
    (only,) = found.performance
    assert (only.leads, only.judged, only.waiting) == (1_000, 1_000, 0)


def test_before_the_horizon_has_ended_nothing_is_judged(store: Store, tmp_path: Path) -> None:
    made = company(tmp_path)
    live(store, made.model, AT)
    found = looked_at(store, made, AT - 31 * DAY)  # 29 days after the answers: most deals are closed
    assert found.advice == "too_little_known"
    (only,) = found.performance
    assert (only.judged, only.won, only.waiting) == (0, 0, 1_000)
    assert looked_at(store, made, AT, since=AT - DAY).performance == []


def test_each_version_of_the_card_is_told_where_there_are_more(store: Store, tmp_path: Path) -> None:
    made = company(tmp_path)
    live(store, made.model, AT)
    store.remember(
        [prediction(f"B{i}", AT - 50 * DAY, model_version=made.model, card_version="other") for i in range(3)]
    ).result()
    found = looked_at(store, made, AT).performance
    assert [(each.card, each.leads) for each in found] == [
        (None, 1_003),
        ("c0ffee", 1_000),
        ("other", 3),
    ]
    assert found[1].differences is not None
    assert found[2].differences is None


def test_an_empty_store_tells_too_little(store: Store, tmp_path: Path) -> None:
    found = looked_at(store, company(tmp_path), AT)
    assert (found.advice, found.performance, found.shifts) == ("too_little_known", [], {})
    assert set(found.newest.values()) == {None}


def test_without_a_store_or_while_it_is_away_nothing_is_judged(tmp_path: Path) -> None:
    made = company(tmp_path)
    with pytest.raises(OutsideError, match="There is no store"):
        watched(made.settings, made.crm, AT)
    assert not (tmp_path / "hotlead-out" / "store.db").exists()
    away = company_at(tmp_path / "other", "postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(OutsideError, match="is away") as told:
        watched(away.settings, away.crm, AT)
    assert "secret" not in str(told.value)


def company_at(folder: Path, url: str) -> Company:
    folder.mkdir()
    return company(folder, url)
