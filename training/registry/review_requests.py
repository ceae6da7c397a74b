"""Processing the requests that reviewers make on the review pages: promote, approve, reject, roll back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from features.clock import iso, now_ms
from features.errors import HotleadError
from features.kinds import Language
from scoring.pages.gate import explain_failures
from scoring.review_requests import ReviewRequest, ReviewResult, read_waiting, write_result
from scoring.scorecard.scorecard import Scorecard
from scoring.texts import translate
from training.registry.mlflow_store import CHALLENGER, CHAMPION, change_version, find_versions, open_versions
from training.registry.promotion import promote, rollback

BilingualText = Mapping[Language, str]


class _RequestRefused(Exception):
    """A request that cannot be carried out, with the reason in both languages."""

    def __init__(self, message: BilingualText) -> None:
        super().__init__(message["en"])
        self.message = message


def process_pending(
    out: Path, bundles: Path, card: Scorecard, on_result: Callable[[ReviewResult], None]
) -> int:
    """Process every waiting request with the current scorecard, and return how many were answered.

    `on_result` is called with each result before it is written, again after an interruption. Raises
    OutsideError if MLflow does not answer or a result cannot be written; that request is retried later and
    does not prevent the others.
    """
    answered, problems = 0, list[HotleadError]()
    for request in read_waiting(bundles):
        try:
            result = _process(out, card, request)
            on_result(result)
            write_result(bundles, result)
            answered += 1
        except HotleadError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    return answered


def _process(out: Path, card: Scorecard, request: ReviewRequest) -> ReviewResult:
    try:
        message = _HANDLERS[request.action](out, card, request)
    except _RequestRefused as refused:
        return ReviewResult(request, False, refused.message, now_ms())
    except HotleadError as problem:
        if problem.exit_code == 5:  # something outside is unavailable: try again
            raise
        return ReviewResult(request, False, {"en": str(problem), "ja": str(problem)}, now_ms())
    return ReviewResult(request, True, message, now_ms())


def _promote(out: Path, card: Scorecard, request: ReviewRequest) -> BilingualText:
    if _version_number(out, CHAMPION) == request.registered:
        return _translate("models_promoted", version=request.registered)  # done before an interruption
    _check_challenger(out, request)
    override = request.note if request.override else None
    promotion = promote(out, card, override, request.by, request.note)
    if not promotion.promoted:
        raise _RequestRefused(
            {lang: " ".join(explain_failures(promotion.checks, lang)) for lang in _LANGUAGES}
        )
    return _translate("models_promoted", version=request.registered)


def _rollback(out: Path, card: Scorecard, request: ReviewRequest) -> BilingualText:
    champion = find_versions(out, (CHAMPION,))[CHAMPION]
    if champion is not None and _was_restored(champion.tags, request):
        return _translate("models_rolled_back", now=champion.version, before=request.registered)
    if champion is None or champion.version != request.registered:
        raise _RequestRefused(_translate("models_other_champion", version=request.registered))
    result = rollback(out, request.note, request.by)
    return _translate("models_rolled_back", now=result.champion, before=result.previous)


def _approve(out: Path, card: Scorecard, request: ReviewRequest) -> BilingualText:
    _check_challenger(out, request)
    _tag(out, request, "approved")
    return _translate("models_approved", version=request.registered)


def _was_restored(tags: Mapping[str, str], request: ReviewRequest) -> bool:
    """Whether the rollback was completed before an interruption."""
    restored_tags = tags.get("hotlead.restored.in_place_of"), tags.get("hotlead.restored.why")
    return restored_tags == (request.registered, request.note) and (
        tags.get("hotlead.restored.at", "") >= iso(request.at)
    )


def _reject(out: Path, card: Scorecard, request: ReviewRequest) -> BilingualText:
    """Tag the version and remove the alias; a request that was interrupted in between is completed."""
    with open_versions(out) as versions:
        tags = versions.read_tags(request.registered)
    if tags.get("hotlead.rejected.at") != iso(request.at):
        _check_challenger(out, request)
        _tag(out, request, "rejected")
    if _version_number(out, CHALLENGER) == request.registered:
        change_version(out, request.registered, {}, {CHALLENGER: None})
    return _translate("models_rejected", version=request.registered)


def _check_challenger(out: Path, request: ReviewRequest) -> None:
    if _version_number(out, CHALLENGER) != request.registered:
        raise _RequestRefused(_translate("models_other_challenger", version=request.registered))


def _version_number(out: Path, alias: str) -> str | None:
    version = find_versions(out, (alias,))[alias]
    return None if version is None else version.version


def _tag(out: Path, request: ReviewRequest, event: str) -> None:
    """Write who, why and, last, when."""
    tags = {"by": request.by, "why": request.note, "at": iso(request.at)}
    change_version(out, request.registered, {f"hotlead.{event}.{name}": tags[name] for name in tags}, {})


_LANGUAGES: tuple[Language, ...] = ("en", "ja")
_HANDLERS = {"promote": _promote, "rollback": _rollback, "approve": _approve, "reject": _reject}


def _translate(key: str, **values: str) -> BilingualText:
    return {lang: translate(key, lang, **values) for lang in _LANGUAGES}
