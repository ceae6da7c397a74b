"""The pages' acts without a browser: what is stored, what is refused, and the attacks that fail."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from features.clock import iso, now_ms
from scoring.review_requests import read_waiting, write_models
from serving.review.calls.page import PAGE_SIZE
from serving.review.disagreements.queries import read_closed_deals, read_never_hot
from serving.review.web.translations import page_texts
from serving.web import api_keys as keys
from tests.helpers.service.review_site import Reviewer, add_hot_lead, review_app
from tests.helpers.service.service_app import App
from tests.helpers.service.stores import MOMENT_MS, prediction, record

SCRIPT = "<script>alert(1)</script>"
_WHAT_IF = '<p class="note good">'
_NEXT = re.compile(r'href="([^"]+)" rel="next"')
_STEPS = re.compile(r'action="(/review/calls/[^"]+)" class="steps"')


def test_the_call_list_says_whom_why_and_by_when(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app)
    page = reviewer.page("/review/calls").text
    for text in ("L1", "Asked for a quote", "Came by referral", "inside sales", "Call."):
        assert text in page


@pytest.mark.parametrize("step", ["first_contact", "accepted"])
def test_a_step_is_stored_with_who_did_it(site: tuple[App, Reviewer], step: str) -> None:
    app, reviewer = site
    add_hot_lead(app)
    answer = reviewer.submit("/review/calls/L1", {"step": step}, page="/review/calls")
    assert answer.headers["location"] == f"/review/calls?done=steps_done_{step}"
    assert "reviewer" in reviewer.page("/review/leads/L1").text


def test_two_who_say_different_things_in_one_second_are_both_heard(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app)
    for person, reason in (
        (reviewer, "no budget"),
        (reviewer, "no budget"),
        (Reviewer(app, "admin"), "a rival"),
    ):
        form = {"step": "sent_back", "reason": reason}
        assert person.submit("/review/calls/L1", form, page="/review/calls").status_code == 303
    reasons = app.components.store.read(
        lambda connection: connection.exec_driver_sql("SELECT reason FROM handovers").scalars().all()
    )
    assert len(reasons) in (2, 3)  # a second sending of the same within a second is the same
    assert {*reasons} == {"no budget", "a rival"}


def test_a_date_holds_until_the_end_of_its_day(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app)
    form = {"step": "next_action", "due": "2099-12-01"}
    assert reviewer.submit("/review/calls/L1", form, page="/review/calls").status_code == 303
    stored = app.components.store.read(
        lambda connection: connection.exec_driver_sql("SELECT due_at FROM handovers").scalar()
    )
    assert iso(stored) == "2099-12-01T14:59:59Z"  # midnight in Tokyo


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"step": "sent_back", "reason": "  "}, "Enter why the lead is sent back"),
        ({"step": "next_action", "due": "soon"}, "Enter today or a later day"),
        ({"step": "next_action", "due": "2001-01-01"}, "Enter today or a later day"),
        ({"step": "next_action", "due": "9999-12-31"}, "Enter today or a later day"),
        ({"step": "steal"}, "Choose one of the buttons"),
        ({}, "Choose one of the buttons"),
    ],
)
def test_a_wrong_step_keeps_what_was_typed_and_stores_nothing(
    site: tuple[App, Reviewer], form: dict[str, str], message: str
) -> None:
    app, reviewer = site
    add_hot_lead(app)
    answer = reviewer.submit("/review/calls/L1", form, page="/review/calls")
    assert answer.status_code == 422
    assert message in answer.text
    assert form.get("due", "") in answer.text
    assert (
        app.components.store.read(
            lambda connection: connection.exec_driver_sql("SELECT count(*) FROM handovers").scalar()
        )
        == 0
    )


def test_a_wrong_step_shows_the_page_again_that_it_was_sent_from(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    for number in range(PAGE_SIZE + 2):
        add_hot_lead(app, f"L{number:02}")
    second = unescape(_NEXT.findall(reviewer.page("/review/calls").text)[0])
    place = unescape(_STEPS.findall(reviewer.page(second).text)[-1])
    form = {"step": "next_action", "due": "2001-01-01", "back": second}
    page = reviewer.submit(place, form, page=second)
    assert page.status_code == 422
    assert "Enter today or a later day" in page.text
    assert 'value="2001-01-01"' in page.text
    assert len(_STEPS.findall(page.text)) == 2
    form = {"step": "sent_back", "back": "/review/leads/L00"}
    page = reviewer.submit("/review/leads/L00", form, page="/review/leads/L00")
    assert page.status_code == 422
    assert "Enter why the lead is sent back" in page.text
    assert 'id="what-if"' in page.text


def test_what_is_wrong_with_a_lead_that_is_listed_no_more_is_told_all_the_same(
    site: tuple[App, Reviewer],
) -> None:
    app, reviewer = site
    add_hot_lead(app)
    page = reviewer.submit("/review/calls/GONE", {"step": "sent_back"}, page="/review/calls")
    assert page.status_code == 422
    assert "Enter why the lead is sent back" in page.text
    form = {"right_side": "model", "reason": ""}
    page = reviewer.submit("/review/disagreements/GONE", form, page="/review/calls")
    assert page.status_code == 422
    assert "GONE" in page.text
    assert 'role="alert"' in page.text


def test_the_list_follows_a_step_at_once(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app)
    reviewer.submit("/review/calls/L1", {"step": "accepted"}, page="/review/calls")
    page = reviewer.page("/review/calls").text
    assert "field sales" in page
    assert "inside sales" not in page


def test_who_is_named_hot_by_hand_is_in_the_list_at_once(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    timestamp = iso(now_ms() - 1_000)
    lead = {
        "lead_id": "W",
        "updated_at": timestamp,
        "created_at": timestamp,
        "attributes": {"channel": "web"},
    }
    assert app.post("/v1/leads", lead, role="crm").status_code == 201
    form = {"verdict": "hot", "reason": "met at the fair", "until": "2099-01-31"}
    assert reviewer.submit("/review/leads/W", form, page="/review/leads/W").status_code == 303
    assert "/review/leads/W" in reviewer.page("/review/calls").text


def test_after_a_step_one_comes_back_to_no_other_site(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app)
    form = {"step": "accepted", "back": "https://evil.example/"}
    answer = reviewer.submit("/review/calls/L1", form, page="/review/calls")
    assert answer.headers["location"].startswith("/review/calls")


@pytest.mark.parametrize("lead_id", [SCRIPT, "a/b?c=d&e#f", "山田 太郎", '"><img src=x onerror=alert(1)>'])
def test_any_id_is_shown_as_it_is_and_runs_nothing(site: tuple[App, Reviewer], lead_id: str) -> None:
    app, reviewer = site
    add_hot_lead(app, lead_id, channel=SCRIPT)
    override = {"lead_id": lead_id, "verdict": "hot", "reason": SCRIPT, "by": SCRIPT, "at": iso(now_ms())}
    assert app.post("/v1/overrides", override, role="reviewer").status_code == 201
    place = f"/review/leads/{quote(lead_id, safe='')}"
    for path in ("/review/calls", place, "/review/disagreements", "/review/figures"):
        page = reviewer.page(path)
        assert page.status_code == 200, path
        assert SCRIPT not in page.text
        assert "<img" not in page.text
    assert reviewer.page(f"/review/leads?lead_id={quote(lead_id)}").headers["location"] == place


def test_an_unknown_lead_is_not_found(site: tuple[App, Reviewer]) -> None:
    assert site[1].page("/review/leads/nobody").status_code == 404


def test_an_override_holds_at_once_and_expires(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app)
    form = {"verdict": "not_hot", "reason": "a school project", "until": "2099-01-31"}
    answer = reviewer.submit("/review/leads/L1", form, page="/review/leads/L1")
    assert answer.status_code == 303
    score = app.post("/v1/score", {"lead_id": "L1"}, role="crm").json()
    assert (score["decided_by"], score["stage"]) == ("person", "warm")
    assert score["person"]["reason"] == "a school project"
    assert "No hot leads here" in reviewer.page("/review/calls").text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"reason": "x"}, "Choose hot or not hot"),
        ({"verdict": "hot"}, "Enter a reason"),
        ({"verdict": "hot", "reason": "kept", "until": "2001-01-01"}, "today or a later day"),
        ({"verdict": "warm", "reason": "x"}, "Choose hot or not hot"),
    ],
)
def test_a_wrong_override_is_told_beside_its_field(
    site: tuple[App, Reviewer], form: dict[str, str], message: str
) -> None:
    app, reviewer = site
    add_hot_lead(app)
    answer = reviewer.submit("/review/leads/L1", form, page="/review/leads/L1")
    assert answer.status_code == 422
    assert message in answer.text
    assert "aria-describedby" in answer.text


def test_what_if_stores_nothing_and_tells_both_sides(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    lead = {
        "lead_id": "L2",
        "updated_at": iso(now_ms() - 9),
        "attributes": {"channel": "web", "employees": 5},
    }
    app.post("/v1/leads", lead, role="crm")
    before = reviewer.page("/review/leads/L2").text
    assert "Asked for a quote" not in before.split('id="what-if"')[0]
    assert "Single changes" in before
    after = reviewer.page("/review/leads/L2?w.channel=referral&w.employees=500").text
    assert "With these values: " in after
    invalid_answer = reviewer.page("/review/leads/L2?w.employees=many")
    assert invalid_answer.status_code == 200
    assert 'id="w-employees-wrong"' in invalid_answer.text
    assert "many" in invalid_answer.text
    assert app.components.store.scores("L2") == []


def test_a_verdict_is_stored_and_exported(site: tuple[App, Reviewer]) -> None:
    _, reviewer = site
    form = {"right_side": "rules", "reason": "=cmd()", "model_version": "7", "card_version": "c"}
    answer = reviewer.submit("/review/disagreements/L1", form, page="/review/definition")
    assert answer.status_code == 303
    exported = reviewer.page("/review/disagreements/verdicts.csv")
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.text.startswith("\ufefflead_id,right_side,reason")
    assert "'=cmd()" in exported.text  # a spreadsheet takes it for text
    (row,) = reviewer.page("/review/disagreements/verdicts.json").json()
    assert (row["reason"], row["by"]) == ("=cmd()", "reviewer")
    invalid_answer = reviewer.submit(
        "/review/disagreements/L1", {"right_side": "luck"}, page="/review/definition"
    )
    assert invalid_answer.status_code == 422


def test_a_reviewer_neither_sees_nor_does_what_admins_do(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    form = {"registered": "1", "note": "mine", "override": "1"}
    for action in ("promote", "rollback"):
        assert reviewer.submit(f"/review/models/{action}", form).status_code == 403
        assert f"models/{action}" not in reviewer.page("/review/models").text
    assert read_waiting(app.settings.bundles) == []
    admin = Reviewer(app, "admin")
    assert admin.submit("/review/models/promote", form).status_code == 303
    assert [request.action for request in read_waiting(app.settings.bundles)] == ["promote"]
    assert reviewer.submit("/review/models/steal", form).status_code in (403, 404)
    assert reviewer.submit("/review/models/promote/../approve", form).status_code in (303, 403, 404)


def test_a_key_that_loses_its_role_loses_its_pages(site: tuple[App, Reviewer]) -> None:
    app, _ = site
    _, token = keys.add(app.settings.keys_file, "crm", "a program")
    app.components.key_cache._next_poll = 0
    person = Reviewer(app, None)
    assert person.sign_in(token).status_code == 403
    bearer = {"authorization": f"Bearer {token}"}
    assert person.page("/review/calls", headers=bearer).status_code == 303  # a token opens no page


@pytest.mark.parametrize("path", ["/review/figures", "/review/figures/print", "/review/figures/months.csv"])
def test_figures_of_nothing_are_shown(site: tuple[App, Reviewer], path: str) -> None:
    assert site[1].page(path).status_code == 200
    assert site[1].page(f"{path}?month=nonsense").status_code == 200
    assert site[1].page("/review/figures/none.csv").status_code == 404


def test_every_page_says_that_the_store_is_away(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    app.components.store._breaker.trip("a test", blocks_reads=True)
    for path in ("", "/calls", "/leads/L1", "/disagreements", "/definition", "/figures"):
        answer = reviewer.page(f"/review{path}")
        assert (answer.status_code, "cannot be reached" in answer.text) == (503, True), path


@pytest.mark.parametrize("start", ["²", "9" * 30, "-5", "x", "9" * 5000, "00000000000000000001"])
def test_a_place_in_the_list_that_is_none_is_its_beginning(site: tuple[App, Reviewer], start: str) -> None:
    answer = site[1].page("/review/disagreements", params={"start": start})
    assert answer.status_code == 200


def test_no_text_of_ours_that_needs_values_breaks_a_page(site: tuple[App, Reviewer]) -> None:
    for key in page_texts():
        assert site[1].page("/review", params={"done": key}).status_code == 200, key
    assert site[1].page("/review?x=%ff&done=%00").status_code == 200


def test_what_no_database_takes_is_no_lead(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    assert reviewer.page("/review/leads/%00").status_code == 404
    answer = reviewer.submit("/review/leads/L%001", {"verdict": "hot"}, page="/review")
    assert answer.status_code == 404
    form = {"step": "sent_back", "reason": "a\0b"}
    assert reviewer.submit("/review/calls/L1", form, page="/review/calls").status_code == 400
    assert (
        app.components.store.read(
            lambda connection: connection.exec_driver_sql("SELECT count(*) FROM handovers").scalar()
        )
        == 0
    )


def test_a_model_that_is_half_told_is_shown(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    figure = {"value": None, "low": None, "high": None}
    about = {
        "trained_through": None,
        "won_leads": 1,
        "leads": 2,
        "measured_won_leads": 1,
        "measured_leads": 1,
        "figures": {"model": {"log_loss": figure}},
    }
    model = {"registered": "1", "version": "a", "about": about, "tags": {"approved.by": "Sato"}}
    write_models(app.settings.bundles, {"at": 0, "gate": None, "models": {"champion": model}})
    assert reviewer.page("/review/models").status_code == 200


def test_figures_that_are_not_measurable_yet_are_not_shown(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    figure = {"value": 0.69314, "low": 0.6, "high": 0.8}
    about = {
        "trained_through": None,
        "won_leads": 30,
        "leads": 60,
        "measured_won_leads": 25,
        "measured_leads": 50,
        "measured_from_won_leads": 5,
        "measured_from_leads": 10,
        "figures": {"model": {"log_loss": figure}},
    }
    for measurable, is_shown in ((False, False), (True, True), (None, True)):
        model = {"registered": "1", "version": "a", "about": {**about, "measurable": measurable}, "tags": {}}
        write_models(app.settings.bundles, {"at": 0, "gate": None, "models": {"champion": model}})
        page = reviewer.page("/review/models").text
        assert ("0.693" in page) == is_shown
        assert ("learnt from 10 leads (5 won) and was measured on 50 (25 won)" in page) != is_shown


def test_the_other_language_of_a_form_that_was_wrong_is_a_page(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app)
    answer = reviewer.submit("/review/calls/L1", {"step": "steal"}, page="/review/calls")
    assert 'href="/review/calls?lang=ja"' in answer.text


def test_a_lead_with_two_deals_is_one_lead(site: tuple[App, Reviewer]) -> None:
    store = site[0].components.store
    store.add_predictions([prediction("A", MOMENT_MS, model_score=90, rules_score=10, stage="warm")]).result()
    wins = [record("outcomes", str(n), MOMENT_MS + n, lead_id="A", outcome="won") for n in (5, 9)]
    store.add_records(wins).result()
    scored, missed, rows = store.read(lambda connection: read_never_hot(connection, 10))
    assert (scored, missed, len(rows)) == (1, 1, 1)
    assert [row.closed_at for row in store.read(lambda connection: read_closed_deals(connection, 10))] == [
        MOMENT_MS + 9
    ]


def test_a_form_that_cannot_be_read_is_told_in_the_readers_language(site: tuple[App, Reviewer]) -> None:
    reader = Reviewer(site[0], "admin", lang="ja")
    page = reader.submit("/review/calls/L1", {"step": "sent_back", "reason": "a\0b"}, page="/review/calls")
    assert page.status_code == 400
    assert "送信内容を読み取れませんでした" in page.text
    assert "NUL" not in page.text


def test_time_that_passes_changes_nothing_in_the_form(tmp_path: Path) -> None:
    later = 0
    with review_app(tmp_path, lambda: now_ms() + later) as (app, reviewer):
        add_hot_lead(app)
        page = reviewer.page("/review/leads/L1").text
        fields = {
            unescape(n): unescape(v)
            for n, v in re.findall(r'name="(w\.[^"]+|at)"[^>]* value="([^"]*)"', page)
        }
        assert any(name.startswith("w.") for name in fields)
        later = 3_600_000
        same = reviewer.page("/review/leads/L1", params=fields).text
        assert _WHAT_IF not in same.split('id="what-if"')[1]
        number = next(n for n, v in fields.items() if n.startswith("w.") and v.replace(".", "").isdigit())
        changed_page = reviewer.page("/review/leads/L1", params={**fields, number: "7.5"}).text
        assert _WHAT_IF in changed_page.split('id="what-if"')[1]
