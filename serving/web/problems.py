"""One shape for every error that the service answers: RFC 9457, application/problem+json."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson
from starlette.responses import Response

from serving.web.field_errors import MAX_ERRORS, FieldError

MEDIA_TYPE = "application/problem+json"

TITLES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Problem(Exception):
    """An answer that is an error; raise it in any handler.

    `detail` goes into logs, so it holds no value that was sent; values stand in `errors` only.
    `more` counts wrong fields beside those in `errors`.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        errors: Iterable[FieldError] = (),
        omitted: int = 0,
    ) -> None:
        self.status, self.detail, self.headers = status, detail, headers
        self.title = TITLES.get(status, "Error" if status < 500 else TITLES[500])
        self.errors, self.omitted = tuple(errors), omitted
        super().__init__(status, self.title, detail)

    def __str__(self) -> str:
        return f"{self.status} {self.title}: {self.detail}"


def problem_body(problem: Problem, request_id: str | None) -> bytes:
    """The JSON of a problem, with at most `MOST_ERRORS` wrong fields."""
    body: dict[str, Any] = {
        "type": "about:blank",  # RFC 9457: the status says it all
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
    }
    if problem.errors:
        shown = problem.errors[:MAX_ERRORS]
        body["errors"] = [{"path": w.path, "got": w.received, "allowed": w.allowed} for w in shown]
        body["more_errors"] = problem.omitted + len(problem.errors) - len(shown)
    return orjson.dumps(body)


def problem_response(problem: Problem, request_id: str | None) -> Response:
    body = problem_body(problem, request_id)
    return Response(body, problem.status, dict(problem.headers), media_type=MEDIA_TYPE)


def from_status(status: int, headers: Mapping[str, str] = _NO_HEADERS) -> Problem:
    """The problem that says what an HTTP error status means, for answers that others made."""
    return Problem(status, _DETAILS.get(status, _DETAILS[500 if status >= 500 else 400]), headers)


def not_json() -> Problem:
    return Problem(400, "The body is not JSON in UTF-8. Send one JSON object, or a list of them.")


def bad_request(detail: str) -> Problem:
    """400: the request cannot be read, and `detail` (which holds no values) says why."""
    return Problem(400, detail)


def unauthorized() -> Problem:
    """401: no API key was sent, or one that is not known, not valid any more, or revoked."""
    return Problem(401, _DETAILS[401], {"WWW-Authenticate": 'Bearer realm="hotlead"'})


def forbidden(role: str) -> Problem:
    return Problem(403, f"A key of the role {role} may not do this. Use one of another role.")


def not_found(detail: str = "") -> Problem:
    return Problem(404, detail or _DETAILS[404])


def method_not_allowed(allow: str) -> Problem:
    """405: another method belongs to this path; `allow` lists those that do ("GET, HEAD")."""
    return Problem(405, f"This path knows {allow} only.", {"Allow": allow})


def conflict(detail: str, errors: Sequence[FieldError] = ()) -> Problem:
    return Problem(409, detail, errors=errors)


def content_too_large(limit: int) -> Problem:
    return Problem(413, f"The body is larger than {limit:,} bytes. Send it in several requests.")


def unsupported_media_type(allowed: str = "application/json") -> Problem:
    return Problem(415, f"Send the body as {allowed}.", {"Accept": allowed})


def invalid_fields(errors: Iterable[FieldError], omitted: int = 0) -> Problem:
    """422: fields of the request do not hold; `more` counts those that are not in `errors`."""
    field_errors = tuple(errors)
    count = len(field_errors) + omitted
    subject = "One field does" if count == 1 else f"{count:,} fields do"
    return Problem(
        422, f"{subject} not hold; `errors` says which and why.", errors=field_errors, omitted=omitted
    )


def too_many_requests(retry_after: float) -> Problem:
    """429: this key asks more often than allowed; it may again in `retry_after` seconds."""
    return Problem(429, _DETAILS[429], _retry_header(retry_after))


def too_many_wrong_keys(retry_after: float) -> Problem:
    """429: many wrong keys came from an address; it should try again in `retry_after` seconds."""
    detail = "Many wrong keys came from this address. Check the key, then wait as long as Retry-After says."
    return Problem(429, detail, _retry_header(retry_after))


def store_unavailable(detail: str, retry_after: float) -> Problem:
    """503: something that this request needs is away; try again in `retry_after` seconds."""
    return Problem(503, detail, _retry_header(retry_after))


def busy() -> Problem:
    """503: so many large bodies wait that this one cannot."""
    detail = "Too many large bodies wait to be read. Send the request again."
    return Problem(503, detail, _retry_header(_RETRY_SECONDS))


def too_many_large_leads() -> Problem:
    """503: so many leads with very many activities wait that this one cannot."""
    detail = "Too many leads with very many activities wait to be scored. Send the request again."
    return Problem(503, detail, _retry_header(_RETRY_SECONDS))


def timed_out() -> Problem:
    """504: the answer took longer than a request may take. It may be sent again: writes are idempotent."""
    return Problem(504, _DETAILS[504], _retry_header(_RETRY_SECONDS))


def stopping() -> Problem:
    """503: the service stops before the answer is there."""
    detail = "The service is stopping. Send the request again."
    return Problem(503, detail, _retry_header(_RETRY_SECONDS))


def internal_error() -> Problem:
    """500: a fault of ours. The log tells of it under the request id."""
    return from_status(500)


def _retry_header(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


_RETRY_SECONDS = 5.0
"""When to send again what took too long, or was in progress as the service stopped."""

_DETAILS: Mapping[int, str] = {
    400: "The request cannot be read.",
    401: (
        "A valid API key is needed: send `Authorization: Bearer KEY` or `X-API-Key: KEY`. "
        "`hotlead keys add` makes one."
    ),
    403: "The key may not do this.",
    404: "There is nothing at this path. /v1/openapi.json lists all paths.",
    405: "This path does not know the method.",
    406: "The service answers in application/json.",
    408: "The request took too long.",
    409: "What was sent is at odds with what was sent before under the same id.",
    413: "The body is too large. Send it in several requests.",
    415: "Send the body as application/json.",
    422: "A field does not hold.",
    429: "This key asks more often than it may. Wait as long as Retry-After says.",
    431: "The headers are too large.",
    500: "A fault of the service. Its log tells of it under this request id; the request may be sent again.",
    503: "The service cannot do this now. Try again later.",
    504: "The service took too long. Try again later.",
}
