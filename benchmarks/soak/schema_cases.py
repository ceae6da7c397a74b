"""Requests that schemathesis makes from the API's own description, with all its checks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema


class Judge(Protocol):
    """Counts an answer."""

    def judge(self, kind: str, status: int, headers: Mapping[str, str], body: bytes | None) -> None: ...


def send_schema_cases(url: str, count: int, tally: Judge) -> int:
    """Send about `count` requests, judge each answer; returns the number of checks that failed."""
    # No schema can say that a time must have come; the strategy for times does.
    times = st.datetimes(datetime(1900, 1, 2), datetime(2026, 1, 1), timezones=st.just(UTC))
    schemathesis.openapi.format("date-time", times.map(datetime.isoformat))
    schema = schemathesis.openapi.from_url(f"{url}/v1/openapi.json", config=_config(max(1, count // 60)))
    broken = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            broken += _judge_scenario(event.recorder, tally)
        elif isinstance(event, events.FatalError):
            raise RuntimeError(str(event.exception))
    return broken


def _config(examples: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "generation": {
                "deterministic": True,
                "max-examples": examples,
                "database": "none",
                "with-security-parameters": False,
            },
            "phases": {"stateful": {"enabled": False}},
            "checks": {
                "ignored_auth": {"enabled": False},  # the service is open to this machine
                # A wrong lead of a batch has a result of its own; `as_of` and `expires_at` depend on others.
                "negative_data_rejection": {"expected-statuses": ["4xx", "207"]},
                "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]},
            },
        }
    )


def _judge_scenario(recorder: Any, tally: Judge) -> int:
    for interaction in recorder.interactions.values():
        answer = interaction.response
        if answer is not None:
            headers = {name.lower(): values[0] for name, values in answer.headers.items()}
            tally.judge("schemathesis", answer.status_code, headers, answer.content)
    broken = 0
    for case_id, checks in recorder.checks.items():
        case, answer = recorder.cases[case_id].value, recorder.interactions[case_id].response
        for check in checks:
            if check.failure_info is not None:
                broken += 1
                shown = f"{case.method} {case.formatted_path} {case.query} {case.body!r}"[:300]
                print(f"  schemathesis, {check.name}: {shown}\n    {answer.status_code} {answer.text[:300]}")
    return broken
