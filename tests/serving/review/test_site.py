import asyncio
import re
import time

import pytest

from serving.review.web.session import COOKIE, DAYS
from serving.review.web.translations import page_texts
from serving.web import api_keys as keys
from tests.helpers.service.guarded_service import call_raw, is_problem
from tests.helpers.service.review_site import Reviewer, review_app
from tests.helpers.service.service_app import App


@pytest.fixture
def site(tmp_path):
    with review_app(tmp_path) as app_and_reviewer:
        yield app_and_reviewer


def test_nobody_sees_a_page_before_signing_in(site):
    app, _ = site
    answer = Reviewer(app, None).page("/review/calls?owner=a")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/review/sign-in?next=%2Freview%2Fcalls%3Fowner%3Da"


def test_a_key_signs_in_and_leads_back_to_the_page(site):
    app, _ = site
    person = Reviewer(app, None)
    answer = person.sign_in(app.tokens["reviewer"], next="/review/calls?owner=a")
    assert (answer.status_code, answer.headers["location"]) == (303, "/review/calls?owner=a")
    assert person.page("/review").status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/review", "/v1/hot", "/\\evil"]
)
def test_signing_in_leads_to_no_other_site(site, elsewhere):
    app, _ = site
    answer = Reviewer(app, None).sign_in(app.tokens["reviewer"], next=elsewhere)
    assert answer.headers["location"] == "/review"


def test_a_wrong_key_is_told_beside_its_field(site):
    app, _ = site
    answer = Reviewer(app, None).sign_in("hl_00000000_" + "x" * 40)
    assert answer.status_code == 401
    assert 'aria-describedby="key-wrong"' in answer.text
    assert "x" * 40 not in answer.text


def test_a_key_of_a_program_has_no_pages(site):
    app, _ = site
    person = Reviewer(app, None)
    answer = person.sign_in(app.tokens["crm"])
    assert answer.status_code == 403
    assert person.page("/review").status_code == 303


def test_signing_in_begins_a_new_session(site):
    """Session fixation: who planted a cookie before does not share the session afterwards."""
    app, _ = site
    attacker = Reviewer(app, None)
    attacker.page("/review/sign-in")
    victim = Reviewer(app, None)
    victim.cookies = dict(attacker.cookies)
    planted = attacker.cookies[COOKIE]
    victim.sign_in(app.tokens["reviewer"])
    assert victim.cookies[COOKIE] != planted
    assert attacker.page("/review").status_code == 303
    assert attacker.token("/review/sign-in") != victim.token("/review")


def test_a_forged_cookie_is_nobody(site):
    app, reviewer = site
    person = Reviewer(app, None)
    body, _, rest = reviewer.cookies[COOKIE].partition(".")
    for cookie in (body[:-2] + "AA." + rest, "x.y.z", "", reviewer.cookies[COOKIE][:-3]):
        person.cookies = {COOKIE: cookie}
        assert person.page("/review").status_code == 303


def test_no_cookie_makes_somebody_the_open_machine(tmp_path):
    with review_app(tmp_path, HOTLEAD_OPEN="1") as (app, _):  # there are keys, so it is not open
        assert Reviewer(app, None).page("/review").status_code == 303


def forget_keys(app: App) -> None:
    """Let the service be one for which no key was ever made."""
    file = app.settings.keys_file
    file.unlink()
    file.with_name(f".{file.name}.lock").unlink()
    app.components.key_cache.__init__(file)


def test_the_open_demo_is_entered_without_a_key_and_its_forms_work(tmp_path):
    with review_app(tmp_path, HOTLEAD_OPEN="1") as (app, _):
        forget_keys(app)
        person = Reviewer(app, None)
        assert person.page("/review").status_code == 200
        assert "without sign-in" in person.page("/review").text
        before = person.token("/review")
        assert before == person.token("/review")
        assert person.submit("/review/sign-out", {}, csrf="x" * 32).status_code == 403
        elsewhere = {"sec-fetch-site": "cross-site"}
        assert person._request("GET", "/review", headers=elsewhere).status_code == 303


def test_the_cookie_of_the_open_demo_is_worth_nothing_once_there_are_keys(tmp_path):
    with review_app(tmp_path, HOTLEAD_OPEN="1") as (app, _):
        saved_keys = app.settings.keys_file.read_bytes()
        forget_keys(app)
        person = Reviewer(app, None)
        assert person.page("/review").status_code == 200
        app.settings.keys_file.write_bytes(saved_keys)
        app.components.key_cache._next_poll = 0
        assert person.page("/review").status_code == 303


def test_the_session_ends_with_its_key(site):
    app, _ = site
    key, token = keys.add(app.settings.keys_file, "reviewer", "leaving soon")
    app.components.key_cache._next_poll = 0
    person = Reviewer(app, None)
    person.sign_in(token)
    assert person.page("/review").status_code == 200
    keys.revoke(app.settings.keys_file, key.id)
    app.components.key_cache._next_poll = 0
    assert person.page("/review").status_code == 303


def test_the_cookie_is_for_this_site_alone(site):
    app, _ = site
    cookie = Reviewer(app, None).page("/review/sign-in").headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/review"))


@pytest.mark.parametrize("token", ["", "wrong", "x" * 32, "日本"])
def test_a_form_without_its_token_is_refused(site, token):
    _, reviewer = site
    answer = reviewer.submit("/review/sign-out", {}, csrf=token)
    assert answer.status_code == 403
    assert reviewer.page("/review").status_code == 200  # still signed in


def test_the_token_of_somebody_else_is_refused(site):
    app, reviewer = site
    other_token = Reviewer(app, "admin").token("/review")
    assert reviewer.submit("/review/sign-out", {}, csrf=other_token).status_code == 403


@pytest.mark.parametrize("header", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_a_form_from_another_site_is_refused(site, header):
    _, reviewer = site
    data = {"csrf": reviewer.token("/review")}
    answer = reviewer._request("POST", "/review/sign-out", data=data, headers=header)
    assert answer.status_code == 403


def test_signing_out_ends_the_session(site):
    _, reviewer = site
    assert reviewer.submit("/review/sign-out", {}).status_code == 303
    assert reviewer.page("/review").status_code == 303


def test_a_session_ends_after_some_days_however_often_it_is_used(site, monkeypatch):
    _, reviewer = site
    now = time.time()
    for day in range(1, DAYS + 2):
        hours = [day * 24.0 - 13.0, day * 24.0 - 3.0]
        for hour in hours:
            monkeypatch.setattr("serving.review.web.session.time.time", lambda hour=hour: now + hour * 3600)
            answer = reviewer.page("/review")
    assert answer.status_code == 303


@pytest.mark.parametrize(("step", "status"), [(-200, 200), (-3600, 303), (3600, 200), (3 * 365 * 86400, 303)])
def test_a_clock_that_steps_a_little_ends_no_session(site, monkeypatch, step, status):
    _, reviewer = site
    now = time.time()
    monkeypatch.setattr("serving.review.web.session.time.time", lambda: now + step)
    assert reviewer.page("/review").status_code == status
    monkeypatch.undo()


def test_a_session_that_ended_stays_ended_when_a_clock_jumps_for_a_while(site, monkeypatch):
    app, reviewer = site
    copy, other_session = Reviewer(app, None), Reviewer(app, None)
    copy.cookies = dict(reviewer.cookies)
    reviewer.submit("/review/sign-out", {})
    now = time.time()
    monkeypatch.setattr("serving.review.web.session.time.time", lambda: now + 3 * 365 * 86400)
    other_session.sign_in(app.tokens["reviewer"])
    other_session.submit("/review/sign-out", {})
    monkeypatch.undo()
    assert copy.page("/review").status_code == 303


def test_an_unknown_page_is_told_in_html(site):
    _, reviewer = site
    answer = reviewer.page("/review/nothing/<script>")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>" not in answer.text.replace('<script src="', "")


def test_pages_load_nothing_from_outside(site):
    _, reviewer = site
    answer = reviewer.page("/review")
    rule = answer.headers["content-security-policy"]
    assert "default-src 'none'" in rule
    assert "script-src 'self';" in rule
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', answer.text)


def test_files_are_kept_until_they_change(site):
    _, reviewer = site
    page = reviewer.page("/review").text
    for address in re.findall(r'"(/review/static/[^"]+)"', page):
        answer = Reviewer(reviewer.app, None).page(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]
    assert reviewer.page("/review/static/../site.py").status_code == 404
    assert reviewer.page("/review/static/nothing.css").status_code == 404


def test_the_language_is_chosen_once(site):
    _, reviewer = site
    assert '<html lang="en">' in reviewer.page("/review").text
    assert '<html lang="ja">' in reviewer.page("/review?lang=ja").text
    assert '<html lang="ja">' in reviewer.page("/review").text


def test_every_text_is_there_in_both_languages():
    for key, translations in page_texts().items():
        assert set(translations) == {"en", "ja"}, key
        names = [sorted(re.findall(r"{(\w+)", translation)) for translation in translations.values()]
        assert names[0] == names[1], key


def test_the_address_alone_leads_to_the_pages(site):
    app, _ = site
    answer = app.request("GET", "/", None)
    assert answer.status_code == 307
    assert answer.headers["location"] == "/review"


def test_a_copy_of_the_cookie_of_a_session_that_ended_opens_nothing(site):
    app, reviewer = site
    other_session, copy = Reviewer(app), Reviewer(app, None)
    copy.cookies = dict(reviewer.cookies)
    assert copy.page("/review").status_code == 200
    reviewer.submit("/review/sign-out", {})
    assert copy.page("/review").status_code == 303
    assert other_session.page("/review").status_code == 200  # the same key, another session


def test_who_is_not_signed_in_leaves_no_mark(site):
    app, _ = site
    stranger = Reviewer(app, None)
    assert stranger.submit("/review/sign-out", {}, page="/review/sign-in").status_code == 303
    assert not (app.components.settings.out / "sessions-ended").exists()


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_the_cookie_is_for_tls_alone_where_the_browser_speaks_it(site, scheme, secure):
    answer = site[1].page("/review", headers={"x-forwarded-proto": scheme})
    assert ("secure" in answer.headers["set-cookie"].lower()) == secure


def test_over_tls_no_other_host_can_set_the_cookie(site):
    app, _ = site
    tls = {"x-forwarded-proto": "https"}
    plain = Reviewer(app)
    name, _, attributes = plain.page("/review", headers=tls).headers["set-cookie"].partition("=")
    assert name == f"__Host-{COOKIE}"
    assert "path=/;" in attributes.lower()
    assert "domain" not in attributes.lower()
    planted = Reviewer(app, None)
    planted.cookies = {COOKIE: plain.cookies[COOKIE]}
    assert planted.page("/review", headers=tls).status_code == 303, "without the prefix it is not read"
    planted.cookies = {f"__Host-{COOKIE}": plain.cookies[COOKIE]}
    assert planted.page("/review", headers=tls).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_wrong_method_of_a_page_is_answered_as_one_of_the_api(site, method):
    app, _ = site
    for path in ("/review", "/review/calls", "/review/sign-in", "/review/static/site.css"):
        answer = app.request(method, path, None)
        assert is_problem(answer, 405)
        assert answer.headers["allow"].startswith("GET, HEAD")


def test_a_file_that_is_not_there_is_answered_as_a_path_of_the_api(site):
    assert is_problem(site[0].get("/review/static/nothing.css", role=None), 404)


def test_a_disconnect_during_signing_in_is_499(site):
    app, _ = site
    messages = [{"type": "http.request", "body": b"csrf=", "more_body": True}, {"type": "http.disconnect"}]
    form = [(b"content-type", b"application/x-www-form-urlencoded")]
    assert asyncio.run(call_raw(app.asgi, form, messages, "/review/sign-in", "POST")) == []
    text = app.components.metrics.render()[0].decode()
    assert 'hotlead_requests_total{method="POST",route="/review/sign-in",status="499"} 1.0' in text
    assert 'route="/review/sign-in",status="500"' not in text
