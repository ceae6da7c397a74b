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
    KEPT,
    Done,
    Request,
    answer,
    answers,
    ask,
    read_models,
    waiting,
)
from scoring.scorecard.load import find_card
from tests.helpers.champion_crm import champion_crm, out_of
from training.registry.follower import look_after, step
from training.registry.mlflow_store import (
    CHALLENGER,
    CHAMPION,
    MODEL_NAME,
    find_model,
    mlflow_store,
)
from training.registry.promotion import rollback


def request(action: str = "promote", registered: str = "2", **told: object) -> Request:
    return Request(action, registered, "Sato", "looks good", now_ms(), **told)  # type: ignore[arg-type]


def test_a_request_waits_until_it_is_answered(tmp_path: Path) -> None:
    told_id = ask(tmp_path, request())
    (found,) = waiting(tmp_path)
    assert (found.id, found.action, found.note) == (told_id, "promote", "looks good")
    answer(tmp_path, Done(found, True, {"en": "done", "ja": "完了"}, 5))
    assert waiting(tmp_path) == []
    (done,) = answers(tmp_path)
    assert (done.request, done.ok, done.told["ja"]) == (found, True, "完了")


def test_what_is_half_written_is_passed_over(tmp_path: Path) -> None:
    ask(tmp_path, request())
    (tmp_path / FOLDER / "0-broken.json").write_text("{", encoding="utf-8")
    assert len(waiting(tmp_path)) == 1


def test_what_another_version_of_hotlead_wrote_is_passed_over(tmp_path: Path) -> None:
    ask(tmp_path, request())
    for name in ("0-a.json", "0-b.done.json"):
        for text in ("{}", '{"action": "approve", "who": "S"}', '{"request": {"a": 1}}', "[1]"):
            (tmp_path / FOLDER / name).write_text(text, encoding="utf-8")
            assert len(waiting(tmp_path)) == 1
            assert answers(tmp_path) == []


def test_only_the_last_answers_stay(tmp_path: Path) -> None:
    for i in range(KEPT + 5):
        made = Request("approve", "1", "S", "n", i, id=f"{i:015}-a")
        answer(tmp_path, Done(made, True, {"en": "", "ja": ""}, i))
    told = answers(tmp_path)
    assert len(told) == KEPT
    assert told[0].at == KEPT + 4


def test_a_request_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file", encoding="utf-8")
    with pytest.raises((OutsideError, OSError)):
        ask(tmp_path, request())


@pytest.fixture(scope="module")
def crm_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return champion_crm(tmp_path_factory.mktemp("asked"))


@pytest.fixture(autouse=True)
def _first_again(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "crm_toml" in request.fixturenames:
        crm_toml = request.getfixturevalue("crm_toml")
        if find_model(out_of(crm_toml), (CHAMPION,)).version == "2":
            rollback(out_of(crm_toml), "after a test", "tests")


def challenge(crm_toml: Path, version: str) -> None:
    with mlflow_store(out_of(crm_toml)) as (mlflow, _):
        mlflow.MlflowClient().set_registered_model_alias(MODEL_NAME, CHALLENGER, version)


def asked(crm_toml: Path, bundles: Path, *told: Request) -> list[Done]:
    """Ask, let the follower look once, and read the answers, the oldest first."""
    for each in told:
        ask(bundles, each)
    look_after(out_of(crm_toml), bundles, crm_toml)
    return list(reversed(answers(bundles)))


def test_a_promotion_by_override_serves_and_is_carried_out_once(crm_toml: Path, tmp_path: Path) -> None:
    (done,) = asked(crm_toml, tmp_path, request(override=True))
    assert done.ok, done.told
    step(out_of(crm_toml), tmp_path)
    origin = origin_of(tmp_path)
    assert origin is not None
    assert origin.registered == "2"
    assert look_after(out_of(crm_toml), tmp_path, crm_toml) == ""
    _, again = asked(crm_toml, tmp_path, request(override=True))  # as after a crash before the answer
    assert again.ok


def test_what_is_no_challenger_any_more_is_refused(crm_toml: Path, tmp_path: Path) -> None:
    (done,) = asked(crm_toml, tmp_path, request(registered="7"))
    assert not done.ok
    assert "not the challenger any more" in done.told["en"]
    assert "候補モデルではありません" in done.told["ja"]
    assert find_model(out_of(crm_toml), (CHAMPION,)).version == "1"


def test_a_rollback_is_of_the_champion_that_was_seen(crm_toml: Path, tmp_path: Path) -> None:
    told = asked(
        crm_toml,
        tmp_path,
        request(override=True),
        request("rollback", "1"),
        request("rollback", "2"),
    )
    assert [done.ok for done in told] == [True, False, True]
    assert find_model(out_of(crm_toml), (CHAMPION,)).version == "1"


def test_one_request_that_fails_does_not_hold_up_the_next(crm_toml: Path, tmp_path: Path) -> None:
    long = Request("approve", "2", "Sato", "x" * 200_000, now_ms())  # MLflow takes no such tag
    ask(tmp_path, long)
    ask(tmp_path, request("approve"))
    with pytest.raises(OutsideError):
        look_after(out_of(crm_toml), tmp_path, crm_toml)
    assert [done.request.note for done in answers(tmp_path)] == ["looks good"]


@pytest.mark.parametrize("action", ["rollback", "reject"])
def test_what_was_done_before_the_answer_was_written_is_done(
    crm_toml: Path, tmp_path: Path, action: str
) -> None:
    if action == "rollback":
        asked(crm_toml, tmp_path, request(override=True))
    one = request(action)
    first, again = (asked(crm_toml, tmp_path / name, one)[-1] for name in ("a", "b"))
    assert (first.ok, again.ok) == (True, True), again.told
    assert first.told == again.told
    other = Request(action, "2", "Sato", "once more", now_ms() + 60_000)  # type: ignore[arg-type]
    assert not asked(crm_toml, tmp_path / "c", other)[-1].ok
    if action == "reject":
        challenge(crm_toml, "2")


def test_an_approval_stays_with_the_model(crm_toml: Path, tmp_path: Path) -> None:
    (done,) = asked(crm_toml, tmp_path, request("approve"))
    assert done.ok
    models = read_models(tmp_path)
    assert models is not None
    assert models["models"]["challenger"]["tags"]["approved.by"] == "Sato"
    assert models["models"]["champion"]["registered"] == "1"
    assert {check["name"] for check in models["gate"]} > {"enough_deals", "audit"}


def test_the_models_are_told_anew_when_the_scorecard_changes(crm_toml: Path, tmp_path: Path) -> None:
    look_after(out_of(crm_toml), tmp_path, crm_toml)
    before = read_models(tmp_path)
    settings = load_settings(crm_toml)
    card = find_card(settings.folder, settings.table)
    file = crm_toml.with_name("scorecard.toml")
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace(f"hot = {card.bands.hot}", f"hot = {card.bands.hot - 1}", 1), encoding="utf-8"
    )
    try:
        look_after(out_of(crm_toml), tmp_path, crm_toml)
        after = read_models(tmp_path)
    finally:
        file.write_text(text, encoding="utf-8")
    assert before is not None
    assert after is not None
    assert before["stamp"] != after["stamp"]
