"""The API against its document: valid requests succeed, invalid ones are refused with the right code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from serving.web import failed_sign_ins
from serving.web import permissions as access
from serving.web.api_keys import Role
from tests.helpers.service.service_app import CRM_TOML, App, small_app

# No schema can say that a time must have come; the strategy for times does.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(1900, 1, 2), datetime(2026, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.isoformat()
    ),
)

PATHS = sorted(path for _, path in access.PERMISSIONS if path.startswith("/v1/") or path == "/metrics")
EXAMPLES = 6


def config(app: App, path: str) -> dict[str, Any]:
    """All checks, with the key of a role that may; only what no schema can say is allowed for."""
    method = next(m for m, p in access.PERMISSIONS if p == path)
    role: Role = "crm" if "crm" in access.PERMISSIONS[method, path] else "reviewer"
    checks: dict[str, Any] = {}
    if path == "/v1/score/batch":
        # Each lead of a batch has its own result: a wrong one is a 207, not a refusal of all.
        checks["negative_data_rejection"] = {"expected-statuses": ["4xx", "207"]}
    if path == "/v1/score":
        # `as_of` must not lie before the lead came.
        checks["positive_data_acceptance"] = {"expected-statuses": ["2xx", "404", "422"]}
    if path == "/v1/overrides":
        # `expires_at` must be later than `at`.
        checks["positive_data_acceptance"] = {"expected-statuses": ["2xx", "409", "422"]}
    return {
        "headers": {"X-API-Key": app.tokens[role]},
        "checks": checks,
        "generation": {
            "deterministic": True,
            "max-examples": EXAMPLES,
            "database": "none",
            "with-security-parameters": False,
        },
        "phases": {"stateful": {"enabled": False}},
    }


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    # Fewer columns of one kind: each is tried in many ways, which takes its time.
    lines = [line for line in CRM_TOML.splitlines() if not line.startswith(("authority", "need"))]
    with small_app(tmp_path_factory.mktemp("app"), crm="\n".join(lines)) as service_app:
        yield service_app


def collect_failures(recorder: Any) -> list[str]:
    """The checks that did not hold, with what was sent and answered."""
    failures = []
    for case_id, checks in recorder.checks.items():
        case, answer = recorder.cases[case_id].value, recorder.interactions[case_id].response
        shown = f"{case.method} {case.formatted_path} {case.query} {case.body!r}"[:500]
        shown += f"\n{answer.status_code} {answer.text[:500]}"
        failures += [
            f"{check.name}: {check.failure_info.failure.message}\n{shown}"
            for check in checks
            if check.failure_info is not None and not _is_future(answer)
        ]
    return failures


def _is_future(answer: Any) -> bool:
    """Whether a 422 is about nothing but times that have not come: schemathesis sends deadlines of
    earlier answers back, and no schema can say that these lie ahead."""
    if answer.status_code != 422:
        return False
    errors = answer.json().get("errors", [])
    return bool(errors) and all(
        e["allowed"].startswith(("a time that has come", "a moment that has come")) for e in errors
    )


def remove_list_limits(document: Any) -> Any:
    """The document without the lengths of lists: thousands of items are tried once, elsewhere."""
    if isinstance(document, list):
        return [remove_list_limits(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {key: remove_list_limits(value) for key, value in document.items() if key != "maxItems"}


@pytest.mark.parametrize("path", PATHS)
def test_the_api_does_what_its_document_says(app: App, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_sign_ins, "FREE_FAILURES", 10**6)  # many wrong keys are no attack here
    schemathesis_config = SchemathesisConfig.from_dict(config(app, path))
    document = remove_list_limits(app.get("/v1/openapi.json").json())
    schema = schemathesis.openapi.from_dict(document, config=schemathesis_config)
    schema.app = app.asgi
    cases = 0
    failures: list[Any] = []
    for event in from_schema(schema.include(path=path)).execute():
        assert not isinstance(event, events.FatalError), event
        if isinstance(event, events.NonFatalError):
            failures.append(event.value)
        if isinstance(event, events.ScenarioFinished):
            cases += len(event.recorder.cases)
            failures += collect_failures(event.recorder)
    assert not failures, "\n\n".join(map(str, failures))
    assert cases > 3
