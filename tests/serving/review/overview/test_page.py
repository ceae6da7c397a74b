"""The overview says what the evidence says, counts the open leads, and what waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.clock import now_ms
from scoring.evaluation.comparison import ModelVsRules
from scoring.model.bundle import Origin, write_bundle
from scoring.pages.comparison import comparison_verdict
from scoring.review_requests import write_models
from serving.leads.mirrors import OverrideMirror
from serving.review.calls.queries import read_nearly_hot
from serving.review.overview.queries import count_agreement, count_pending
from serving.store.store import Store
from tests.conftest import Demo
from tests.helpers.service.review_site import Reviewer, review_app
from tests.helpers.service.service_app import App
from tests.helpers.service.stores import MOMENT_MS, hot, prediction, record, server, store, url
from training.registry.mlflow_store import find_model

__all__ = ["server", "store", "url"]


@pytest.fixture(scope="module")
def app(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    out = tmp_path_factory.mktemp("out")
    stored_model = find_model(demo.out)
    write_bundle(
        out / "bundles", stored_model.folder, Origin(stored_model.model.version, "1", "run", now_ms())
    )
    running_app = App(demo.crm_toml, out)
    yield running_app
    running_app.close()


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_conclusion_is_that_of_the_comparison(app: App, lang: str) -> None:

    scorer = app.components.model_watcher.live_model.scorer
    assert scorer.calibrated_model is not None
    evidence = find_model(app.components.crm.folder / "hotlead-out").evidence
    verdict = comparison_verdict(
        ModelVsRules.from_evidence(evidence, scorer.card, scorer.calibrated_model.scale), lang
    )  # type: ignore[arg-type]
    page = Reviewer(app, lang=lang).page("/review").text  # type: ignore[arg-type]
    assert verdict.replace("'", "&#39;") in page
    assert page.count("<svg") == 2


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    with review_app(tmp_path) as (_, reviewer):
        page = reviewer.page("/review").text
        assert "There is no model yet: the rules alone decide." in page
        assert "<svg" not in page
        table = page.split('class="agreement"')[1].split("</table>")[0]
        assert [row.count("<td") for row in table.split("<tr>")[1:]] == [0, 3, 3, 3]


def test_open_leads_are_counted_by_the_stages_of_both_sides(store: Store) -> None:
    store.add_predictions(
        [
            hot("A", model_stage="cold", rules_stage="hot"),
            hot("B", model_stage="cold", rules_stage="hot"),
            prediction("C", rules_stage="warm", model_stage=None),
            hot("D", model_stage="hot", rules_stage="hot"),
        ]
    ).result()
    store.add_records([record("outcomes", "d", lead_id="B", outcome="lost")]).result()
    assert store.read(count_agreement) == {("hot", "cold"): 1, ("warm", None): 1, ("hot", "hot"): 1}


def test_overdue_leads_wait_until_somebody_called(store: Store) -> None:
    late, later = MOMENT_MS + 1, MOMENT_MS + 10
    store.add_predictions(
        [hot("A", deadline=late), hot("B", deadline=late), hot("C", deadline=later)]
    ).result()
    store.add_records([record("handovers", "k", lead_id="B", step="first_contact")]).result()
    counts = store.read(lambda connection: count_pending(connection, MOMENT_MS + 5, ()))
    assert (counts.hot, counts.overdue, counts.definition) == (3, 1, None)


def test_whom_a_person_called_off_waits_for_nobody(store: Store) -> None:
    store.add_predictions([hot("A", deadline=MOMENT_MS + 1), hot("B", deadline=MOMENT_MS + 1)]).result()
    counts = store.read(lambda connection: count_pending(connection, MOMENT_MS + 5, ["A", "Z"]))
    assert (counts.hot, counts.overdue) == (1, 1)


def test_an_accepted_lead_is_late_after_the_date_that_sales_told(store: Store) -> None:
    store.add_predictions([hot("A", deadline=MOMENT_MS + 1, action="follow_up")]).result()
    store.add_records([record("handovers", "k", lead_id="A", step="first_contact")]).result()
    assert store.read(lambda connection: count_pending(connection, MOMENT_MS + 5, ())).overdue == 1


def test_the_page_is_told_when_the_store_is_away(tmp_path: Path) -> None:
    with review_app(tmp_path) as (app, reviewer):
        app.components.store._breaker.trip("a test", blocks_reads=True)
        answer = reviewer.page("/review")
        assert answer.status_code == 503
        assert "The database cannot be reached" in answer.text
        assert answer.headers["retry-after"]


def test_leads_that_the_model_did_not_judge_have_a_column_that_opens_them(tmp_path: Path) -> None:
    with review_app(tmp_path) as (app, reviewer):
        rules_only = prediction("Z", rules_stage="warm", stage="warm", model_stage=None, model_score=None)
        app.components.store.add_predictions([rules_only]).result()
        page = reviewer.page("/review").text
        assert "No model" in page
        cell = "/review/disagreements?rules=warm&amp;model=none"
        assert f'<a href="{cell}">1</a>' in page
        table = page.split('class="agreement"')[1].split("</table>")[0]
        assert [row.count("<td") for row in table.split("<tr>")[1:]] == [0, 4, 4, 4]
        listed = reviewer.page(cell.replace("&amp;", "&")).text
        assert "/review/leads/Z" in listed
        assert "/review/leads/Z" not in reviewer.page("/review/disagreements?rules=hot&model=none").text


@pytest.mark.parametrize(("tags", "waits"), [({}, True), ({"approved.by": "Sato"}, False)])
def test_a_challenger_waits_until_somebody_has_decided(
    tmp_path: Path, tags: dict[str, str], waits: bool
) -> None:
    with review_app(tmp_path) as (app, reviewer):
        models = {"challenger": {"registered": "7", "version": "abc", "about": {}, "tags": tags}}
        write_models(app.components.settings.bundles, {"at": now_ms(), "models": models, "gate": None})
        assert ("Model 7 is a challenger" in reviewer.page("/review").text) == waits


def test_whom_a_person_named_not_hot_is_not_among_the_nearest(store: Store) -> None:
    store.add_predictions(
        [
            prediction("A", stage="warm", score=79, decided_by="person"),
            prediction("B", stage="warm", score=79),
            prediction("C", stage="warm", score=70),
        ]
    ).result()
    overrides = OverrideMirror(store)
    nearest = store.read(lambda connection: read_nearly_hot(connection, 5, overrides, MOMENT_MS + 1))
    assert [row.lead_id for row in nearest] == ["B", "C"]
    overrides.add([record("handovers", "b", lead_id="B", step="sent_back", reason="a student")])
    nearest = store.read(lambda connection: read_nearly_hot(connection, 5, overrides, MOMENT_MS + 1))
    assert [row.lead_id for row in nearest] == ["C"]
