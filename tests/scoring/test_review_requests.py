"""What reviewers ask of a model is kept, carried out once by the follower, and answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.clock import now_ms
from features.errors import OutsideError
from features.settings import load_settings
from scoring.model.bundle import origin_of
from scoring.review_requests import (
    FOLDER,
    MAX_RESULTS,
    ReviewRequest,
    ReviewResult,
    read_models,
    read_results,
    read_waiting,
    write_request,
    write_result,
)
from scoring.scorecard.load import find_card
from tests.helpers.champion_crm import champion_crm, out_of
from training.registry.follower import process_requests, sync_once
from training.registry.mlflow_store import CHALLENGER, CHAMPION, MODEL_NAME, find_model, mlflow_store
from training.registry.promotion import rollback


def request(action: str = "promote", registered: str = "2", **fields: object) -> ReviewRequest:
    values = {"by": "Sato", "note": "looks good", "at": now_ms(), **fields}
    return ReviewRequest(action=action, registered=registered, **values)  # type: ignore[arg-type]


def test_a_request_waits_until_it_is_answered(tmp_path: Path) -> None:
    request_id = write_request(tmp_path, request())
    (pending,) = read_waiting(tmp_path)
    assert (pending.id, pending.action, pending.note) == (request_id, "promote", "looks good")
    write_result(tmp_path, ReviewResult(pending, True, {"en": "done", "ja": "完了"}, 5))
    assert read_waiting(tmp_path) == []
    (reply,) = read_results(tmp_path)
    assert (reply.request, reply.ok, reply.message["ja"]) == (pending, True, "完了")


def test_what_is_half_written_is_passed_over(tmp_path: Path) -> None:
    write_request(tmp_path, request())
    (tmp_path / FOLDER / "0-broken.json").write_text("{", encoding="utf-8")
    assert len(read_waiting(tmp_path)) == 1


def test_what_another_version_of_hotlead_wrote_is_passed_over(tmp_path: Path) -> None:
    write_request(tmp_path, request())
    for name in ("0-a.json", "0-b.done.json"):
        for text in ("{}", '{"action": "approve", "who": "S"}', '{"request": {"a": 1}}', "[1]"):
            (tmp_path / FOLDER / name).write_text(text, encoding="utf-8")
            assert len(read_waiting(tmp_path)) == 1
            assert read_results(tmp_path) == []


def test_a_result_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    write_result(tmp_path, ReviewResult(request(id="0-a"), True, {"en": "done", "ja": "完了"}, 5))
    path = tmp_path / FOLDER / "0-a.done.json"
    path.write_text(path.read_text("utf-8").replace('"message"', '"told"'), encoding="utf-8")
    (result,) = read_results(tmp_path)
    assert result.message["en"] == "done"


def test_only_the_last_answers_stay(tmp_path: Path) -> None:
    for i in range(MAX_RESULTS + 5):
        old_request = request("approve", "1", at=i, id=f"{i:015}-a")
        write_result(tmp_path, ReviewResult(old_request, True, {"en": "", "ja": ""}, i))
    replies = read_results(tmp_path)
    assert len(replies) == MAX_RESULTS
    assert replies[0].at == MAX_RESULTS + 4


def test_a_request_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file", encoding="utf-8")
    with pytest.raises((OutsideError, OSError)):
        write_request(tmp_path, request())


@pytest.fixture(scope="module")
def crm_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return champion_crm(tmp_path_factory.mktemp("asked"))


@pytest.fixture(autouse=True)
def _restore_first_champion(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "crm_toml" in request.fixturenames:
        crm_toml = request.getfixturevalue("crm_toml")
        if find_model(out_of(crm_toml), (CHAMPION,)).version == "2":
            rollback(out_of(crm_toml), "after a test", "tests")


def challenge(crm_toml: Path, version: str) -> None:
    with mlflow_store(out_of(crm_toml)) as (mlflow, _):
        mlflow.MlflowClient().set_registered_model_alias(MODEL_NAME, CHALLENGER, version)


def ask_and_answer(crm_toml: Path, bundles: Path, *requests: ReviewRequest) -> list[ReviewResult]:
    """Ask, let the follower look once, and read the answers, the oldest first."""
    for review_request in requests:
        write_request(bundles, review_request)
    process_requests(out_of(crm_toml), bundles, crm_toml)
    return list(reversed(read_results(bundles)))


def test_a_promotion_by_override_serves_and_is_carried_out_once(crm_toml: Path, tmp_path: Path) -> None:
    (reply,) = ask_and_answer(crm_toml, tmp_path, request(override=True))
    assert reply.ok, reply.message
    sync_once(out_of(crm_toml), tmp_path)
    origin = origin_of(tmp_path)
    assert origin is not None
    assert origin.registered == "2"
    assert process_requests(out_of(crm_toml), tmp_path, crm_toml) == ""
    _, second_reply = ask_and_answer(
        crm_toml, tmp_path, request(override=True)
    )  # as after a crash before the answer
    assert second_reply.ok


def test_what_is_no_challenger_any_more_is_refused(crm_toml: Path, tmp_path: Path) -> None:
    (reply,) = ask_and_answer(crm_toml, tmp_path, request(registered="7"))
    assert not reply.ok
    assert "no longer the challenger" in reply.message["en"]
    assert "候補モデルではありません" in reply.message["ja"]
    assert find_model(out_of(crm_toml), (CHAMPION,)).version == "1"


def test_a_rollback_is_of_the_champion_that_was_seen(crm_toml: Path, tmp_path: Path) -> None:
    replies = ask_and_answer(
        crm_toml, tmp_path, request(override=True), request("rollback", "1"), request("rollback", "2")
    )
    assert [reply.ok for reply in replies] == [True, False, True]
    assert find_model(out_of(crm_toml), (CHAMPION,)).version == "1"


def test_one_request_that_fails_does_not_hold_up_the_next(crm_toml: Path, tmp_path: Path) -> None:
    long = request("approve", note="x" * 200_000)  # MLflow takes no such tag
    write_request(tmp_path, long)
    write_request(tmp_path, request("approve"))
    with pytest.raises(OutsideError):
        process_requests(out_of(crm_toml), tmp_path, crm_toml)
    assert [reply.request.note for reply in read_results(tmp_path)] == ["looks good"]


@pytest.mark.parametrize("action", ["rollback", "reject"])
def test_what_was_done_before_the_answer_was_written_is_done(
    crm_toml: Path, tmp_path: Path, action: str
) -> None:
    if action == "rollback":
        ask_and_answer(crm_toml, tmp_path, request(override=True))
    one = request(action)
    first, repeated = (ask_and_answer(crm_toml, tmp_path / name, one)[-1] for name in ("a", "b"))
    assert (first.ok, repeated.ok) == (True, True), repeated.message
    assert first.message == repeated.message
    later_request = request(action, note="once more", at=now_ms() + 60_000)
    assert not ask_and_answer(crm_toml, tmp_path / "c", later_request)[-1].ok
    if action == "reject":
        challenge(crm_toml, "2")


def test_an_approval_stays_with_the_model(crm_toml: Path, tmp_path: Path) -> None:
    (reply,) = ask_and_answer(crm_toml, tmp_path, request("approve"))
    assert reply.ok
    models = read_models(tmp_path)
    assert models is not None
    assert models["models"]["challenger"]["tags"]["approved.by"] == "Sato"
    assert models["models"]["champion"]["registered"] == "1"
    assert {check["name"] for check in models["gate"]} > {"enough_deals", "audit"}


def test_the_models_are_told_anew_when_the_scorecard_changes(crm_toml: Path, tmp_path: Path) -> None:
    process_requests(out_of(crm_toml), tmp_path, crm_toml)
    before = read_models(tmp_path)
    settings = load_settings(crm_toml)
    card = find_card(settings.folder, settings.table)
    file = crm_toml.with_name("scorecard.toml")
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace(f"hot = {card.bands.hot}", f"hot = {card.bands.hot - 1}", 1), encoding="utf-8"
    )
    try:
        process_requests(out_of(crm_toml), tmp_path, crm_toml)
        after = read_models(tmp_path)
    finally:
        file.write_text(text, encoding="utf-8")
    assert before is not None
    assert after is not None
    assert before["stamp"] != after["stamp"]
