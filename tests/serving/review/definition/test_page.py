"""The pages of the definition: changes, versions of others, signatures, and errors beside their fields."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from scoring.review_requests import read_waiting
from scoring.scorecard.load import SCORECARD_FILE
from tests.helpers.service.review_site import Reviewer, add_hot_lead
from tests.helpers.service.service_app import App

SCRIPT = "<script>alert(1)</script>"


def edit(reviewer: Reviewer, **changes: str) -> Any:
    """Fill in the definition's form as it stands, with some fields changed."""

    page = reviewer.page("/review/definition/edit").text
    fields = {
        unescape(n): unescape(v) for n, v in re.findall(r'name="([^"]+)" value="([^"]*)" inputmode', page)
    }
    boxes = re.findall(r'type="checkbox" id="[^"]+" name="([^"]+)" value="on" checked', page)
    base = re.search(r'name="base" value="(\d+)"', page)
    assert base is not None
    return {
        **fields,
        **dict.fromkeys(boxes, "on"),
        "thresholds/policy": "same_volume_as_rules",
        "base": base[1],
        **{k.replace("__", "/"): v for k, v in changes.items()},
    }


def saved(reviewer: Reviewer, form: dict[str, str], note: str = "why not") -> Any:
    """Try the edit, then save it."""

    tried = reviewer.submit("/review/definition/edit", {**form, "act": "try"}, page="/review/definition/edit")
    match = re.search(r'name="tried" value="(\w+)"', tried.text)
    form = {**form, "act": "save", "note": note, "tried": match[1] if match else ""}
    return reviewer.submit("/review/definition/edit", form, page="/review/definition/edit")


def test_a_definition_is_in_force_once_both_have_signed(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    admin = Reviewer(app, "admin")
    before = app.components.model_watcher.live_model.scorer.card.version
    answer = saved(reviewer, edit(reviewer, intent__rows__interest__points="12"))
    assert answer.headers["location"] == "/review/definition/2?done=definition_done_saved"
    sign = "/review/definition/2/sign"
    reviewer.submit(sign, {"party": "marketing"}, page="/review/definition/2")
    assert app.components.model_watcher.live_model.scorer.card.version == before
    twice = reviewer.submit(sign, {"party": "sales"}, page="/review/definition/2")
    assert twice.status_code == 422  # one key signs for one party
    signature_answer = admin.submit(sign, {"party": "sales"}, page="/review/definition/2")
    assert signature_answer.headers["location"].endswith("done=definition_done_in_force")
    assert app.components.model_watcher.live_model.scorer.card.rows["interest"].points == 12
    text = (app.components.crm.folder / SCORECARD_FILE).read_text(encoding="utf-8")
    assert "points = 12" in text
    back = reviewer.submit("/review/definition/1/back", {}, page="/review/definition/1")
    assert back.headers["location"].startswith("/review/definition/3")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"intent__rows__interest__points": "lots"}, "f-intent-rows-interest-points"),
        ({"bands__warm": "60"}, "f-bands-warm"),
        ({"bands__hot": "999"}, "f-bands-hot"),
    ],
)
def test_a_wrong_edit_keeps_what_was_typed_and_saves_nothing(
    site: tuple[App, Reviewer], changes: dict[str, str], field: str
) -> None:
    app, reviewer = site
    answer = saved(reviewer, edit(reviewer, **changes))
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    assert f'value="{next(iter(changes.values()))}"' in answer.text
    assert (
        app.components.store.read(
            lambda connection: connection.exec_driver_sql("SELECT count(*) FROM card_versions").scalar()
        )
        == 1
    )


def test_who_saves_second_sees_the_difference_and_loses_nothing(site: tuple[App, Reviewer]) -> None:
    app, first = site
    second = Reviewer(app, "admin")
    mine = edit(second, intent__rows__strong_interest__points="25")
    assert saved(first, edit(first, bands__warm="15"), "first").status_code == 303
    answer = saved(second, mine)
    assert answer.status_code == 409
    assert "reviewer saved version 2 while you were editing" in answer.text
    assert 'name="intent/rows/strong_interest/points" value="25"' in answer.text
    assert 'name="bands/warm" value="15"' in answer.text
    assert 'name="base" value="2"' in answer.text
    second_edit = edit(second, intent__rows__strong_interest__points="25")
    assert saved(second, second_edit).headers["location"].startswith("/review/definition/3")
    page = second.page("/review/definition/3").text
    assert ">25<" in page
    assert ">15<" not in page.split("<details>")[0]  # theirs is no change of mine


def test_a_late_signature_does_not_undo_what_is_newer(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    admin = Reviewer(app, "admin")
    saved(reviewer, edit(reviewer, intent__rows__interest__points="12"))
    saved(admin, edit(admin, bands__warm="15"))
    page = "/review/definition/2"
    assert f"{page}/sign" not in reviewer.page(page).text
    late = reviewer.submit(f"{page}/sign", {"party": "marketing"}, page="/review/definition/3")
    assert late.status_code == 409
    assert "version 3 replaced it" in late.text
    before = app.components.model_watcher.live_model.scorer.card.version
    forced = reviewer.submit(f"{page}/enforce", {}, page="/review/definition/3")
    assert forced.status_code == 409
    assert app.components.model_watcher.live_model.scorer.card.version == before


def test_a_change_of_a_rule_that_others_took_away_is_told(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    mine = edit(reviewer, intent__rows__strong_interest__when__0__at_least="7", bands__warm="15")
    file = app.components.crm.folder / SCORECARD_FILE
    text = file.read_text(encoding="utf-8")
    start = text.index("[intent.rows.strong_interest]")
    end = text.index("\n[", start + 1)
    file.write_text(text[:start] + text[end:], encoding="utf-8")
    app.components.refresh()
    answer = saved(reviewer, mine)
    assert answer.status_code == 422
    assert "no longer exists in version 2" in answer.text
    assert 'name="bands/warm" value="15"' in answer.text


def test_nothing_is_saved_without_a_note_or_without_having_tried(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    form = edit(reviewer, bands__warm="15")
    assert saved(reviewer, form, " ").status_code == 422
    page = "/review/definition/edit"
    forged = reviewer.submit(page, {**form, "act": "save", "note": "x", "tried": "0" * 12}, page=page)
    assert forged.status_code in (200, 303)
    count = app.components.store.read(
        lambda connection: connection.exec_driver_sql("SELECT count(*) FROM card_versions").scalar()
    )
    assert count == (2 if forged.status_code == 303 else 1)


def test_a_note_runs_nothing(site: tuple[App, Reviewer]) -> None:
    _, reviewer = site
    assert saved(reviewer, edit(reviewer, bands__warm="15"), SCRIPT).status_code == 303
    for path in ("/review/definition", "/review/definition/2", "/review"):
        assert SCRIPT not in reviewer.page(path).text


def test_a_note_that_is_too_long_is_told(site: tuple[App, Reviewer]) -> None:
    form = {"note": "x" * 501, "registered": "1"}
    answer = site[1].submit("/review/models/approve", form, page="/review/models")
    assert answer.status_code == 422
    assert read_waiting(site[0].settings.bundles) == []


@pytest.mark.parametrize(
    ("changed", "en", "ja"),
    [
        ({"bands__warm": "15"}, "Warm from (points)", "ウォームの基準（点）"),
        ({"stages__hot__hours": "2"}, "Deadline of hot leads", "ホットリードの対応期限"),
        (
            {"thresholds__policy": "top_share", "thresholds__warm": "0.3", "thresholds__hot": "0.1"},
            "top share of the leads",
            "上位の割合",
        ),
        ({"intent__rows__interest__off": ""}, "points", "配点"),
    ],
)
def test_a_change_is_told_in_words_not_in_paths(
    site: tuple[App, Reviewer], changed: dict[str, str], en: str, ja: str
) -> None:
    app, reviewer = site
    for person, words in ((reviewer, en), (Reviewer(app, "admin", lang="ja"), ja)):
        form = {k: v for k, v in edit(person, **changed).items() if v}
        page = person.submit(
            "/review/definition/edit", {**form, "act": "try"}, page="/review/definition/edit"
        )
        mine = page.text.split('id="mine"')[1].split("</section>")[0]
        assert words in mine
        for raw in ("›", "because", "top_share", "same_volume"):
            assert raw not in mine


@pytest.mark.parametrize(
    "changes",
    [
        {"bands__hot": ""},
        {"stages__hot__hours": "1e300"},
        {"thresholds__warm": "3"},
        {"thresholds__policy": "min_win_rate"},
        {"intent__rows__interest__points": ""},
        {"bands__hot": "9999"},
        {"thresholds__policy": "top_share", "thresholds__warm": "30", "thresholds__hot": "10"},
        {"thresholds__policy": "top_share", "thresholds__warm": "0.1", "thresholds__hot": "0.3"},
        {"thresholds__policy": "min_win_rate", "thresholds__warm": "0.3", "thresholds__hot": "0.1"},
    ],
)
def test_what_is_wrong_is_told_to_japanese_readers_in_japanese(
    site: tuple[App, Reviewer], changes: dict[str, str]
) -> None:
    reader = Reviewer(site[0], "admin", lang="ja")
    page = reader.submit(
        "/review/definition/edit", {**edit(reader, **changes), "act": "try"}, page="/review/definition/edit"
    )
    assert page.status_code == 422
    messages = re.findall(r'class="wrong"[^>]*>([^<]*)<', page.text)
    assert messages
    assert not re.search("[a-z]{4}", " ".join(messages))


def test_a_text_is_as_long_as_people_read(site: tuple[App, Reviewer]) -> None:
    app, reviewer = site
    add_hot_lead(app)
    long = "x" * 501
    for path, form in (
        ("/review/calls/L1", {"step": "sent_back", "reason": long}),
        ("/review/leads/L1", {"verdict": "hot", "reason": long}),
        ("/review/disagreements/L1", {"right_side": "model", "reason": long}),
    ):
        page = reviewer.submit(path, form, page="/review/calls")
        assert page.status_code == 422, path
        assert "Maximum 500 characters; this has 501." in page.text
