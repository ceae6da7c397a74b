"""Bodies that nobody should send: each is answered with a problem, and none gets into the log."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.api.openapi.document import build_openapi
from serving.observability import json_logging as logs
from serving.web.problems import MEDIA_TYPE
from tests.helpers.process_state import preserve_process_state
from tests.helpers.service.service_app import App, small_app

MARKER = "SECRETMARKER"
ENDPOINTS = 9

BodyAndHeaders = tuple[bytes, dict[str, str]]
"""A body and its headers."""
JSON = {"Content-Type": "application/json"}

LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(
        [
            MARKER,
            MARKER * 500,
            f"{MARKER}\x00",
            f"\ud800{MARKER}",
            "",
            " ",
            "\ufeff",
            2**64,
            -(2**63) - 1,
            10**400,
            1e308,
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
            "2026-02-30T00:00:00Z",
            "1700000000",
            float("nan"),
            float("inf"),
            [],
            {},
            [MARKER],
            {MARKER: MARKER},
        ]
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with small_app(tmp_path_factory.mktemp("app")) as service_app:
        yield service_app


@pytest.fixture(scope="module")
def endpoints(app: App) -> dict[str, Any]:
    """The endpoints that take a body, with one that holds and has the marker in a value."""
    body_by_path = {}
    for path, methods in build_openapi(app.components.crm)["paths"].items():
        if "post" in methods:
            examples = methods["post"]["requestBody"]["content"]["application/json"]["examples"]
            body_by_path[path] = put_marker(next(iter(examples.values()))["value"])
    assert len(body_by_path) == ENDPOINTS
    return body_by_path


def put_marker(body: Any) -> Any:
    """A body whose lead is called by the marker."""
    if isinstance(body, dict):
        return {k: f"{MARKER}-{v}" if k in ("lead_id", "id") else put_marker(v) for k, v in body.items()}
    return [put_marker(item) for item in body] if isinstance(body, list) else body


def places(body: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a body with each of its keys."""
    if isinstance(body, dict | list):
        for key in body if isinstance(body, dict) else range(len(body)):
            yield body, key
            yield from places(body[key])


@st.composite
def mutated(draw: st.DrawFn, body: Any) -> BodyAndHeaders:
    """A body that holds, with some values of other types, keys gone, or keys added."""
    mutant = json.loads(json.dumps(body))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(list(places(mutant))))
        container[key] = draw(TREES)
        if isinstance(container, dict) and draw(st.booleans()):
            container[draw(st.sampled_from([MARKER, "", "at", "lead_id", "\x00"]))] = draw(TREES)
    return json.dumps(mutant).encode(), JSON


def nested(deep: int) -> str:
    """A field with lists in lists."""
    return f'"{MARKER}":{"[" * deep}{"]" * deep}'


def misspelled(body: Any) -> st.SearchStrategy[BodyAndHeaders]:
    """A body that holds, spelled as nobody should."""
    text = json.dumps(body)
    raw = text.encode()
    depths, cuts = st.sampled_from([50, 230, 400, 900, 3_000]), st.integers(0, len(raw))
    numbers = st.sampled_from(["1e400", "-" + "9" * 5_000, "0x10", "01", "1.", "NaN", "-Infinity", "1E+2"])
    return st.one_of(
        st.binary(max_size=60).map(lambda content: content + MARKER.encode()),
        cuts.map(lambda cut: raw[:cut]),
        st.tuples(cuts, st.binary(min_size=1, max_size=3)).map(
            lambda splice: raw[: splice[0]] + splice[1] + raw[splice[0] :]
        ),
        depths.map(lambda deep: f"{{{nested(deep)}}}".encode()),
        depths.map(lambda deep: text.replace('"lead_id":', f'{nested(deep)},"lead_id":', 1).encode()),
        numbers.map(lambda number: text.replace("{", f'{{"{MARKER}":{number},', 1).encode()),
        st.sampled_from(
            [
                b"",
                b" ",
                b"\x00",
                b"null",
                b"[]",
                b"{}",
                f'"{MARKER}"'.encode(),
                b"[" * 10_000,
                raw * 2,
                b"\xef\xbb\xbf" + raw,
                text.encode("utf-16"),
                text.encode("utf-32"),
                raw[:-1] + b"," + raw[1:],
                f'{{"{MARKER}":"\\ud800"}}'.encode(),
                f'{{"lead_id":"{MARKER}\\u0000"}}'.encode(),
                f'{{"lead_id":"{MARKER}é"}}'.encode("latin-1"),
                raw.replace(b'"', b"'"),
                raw + b"//",
            ]
        ),
    ).map(lambda content: (content, JSON))


def mislabelled(body: Any) -> st.SearchStrategy[BodyAndHeaders]:
    """A body that holds, said to be something else."""
    raw = json.dumps(body).encode()
    kinds = st.sampled_from(
        [
            "",
            "text/plain",
            "application/xml",
            "application/jsonx",
            "multipart/form-data",
            "application/x-www-form-urlencoded",
            f"application/{MARKER}",
        ]
    )
    return st.one_of(
        kinds.map(lambda kind: (raw, {"Content-Type": kind})),
        st.sampled_from(["gzip", "br", "deflate", "utf-16"]).map(
            lambda coding: (gzip.compress(raw), {**JSON, "Content-Encoding": coding})
        ),
        st.just((gzip.compress(raw), JSON)),
        st.just((raw, {**JSON, "Content-Length": "99999999999999999999"})),
    )


def queries() -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            "",
            "",
            "",
            f"?lang={MARKER}",
            f"?{MARKER}=1",
            "?as_of=9999-12-31T23:59:59-12:00",
            "?explain=%00",
            "?as_of=%FF",
            "?explain=all&lang=ja",
        ]
    )


@pytest.mark.parametrize("rounds", [60, pytest.param(250, marks=pytest.mark.slow)])
def test_no_body_brings_the_service_down_and_none_gets_into_its_log(
    app: App, endpoints: dict[str, Any], capfd: pytest.CaptureFixture[str], rounds: int
) -> None:
    status_counts: Counter[int] = Counter()
    log_stream = io.StringIO()

    @settings(
        max_examples=rounds,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
    )
    @given(data=st.data())
    def round_of_the_doors(data: st.DataObject) -> None:
        for path, body in endpoints.items():
            request_strategy = st.one_of(mutated(body), misspelled(body), mislabelled(body))
            raw, headers = data.draw(request_strategy)
            query = data.draw(queries()) if "score" in path else ""
            answer = app.request("POST", path + query, content=raw, headers=headers)
            status_counts[answer.status_code] += 1
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == MEDIA_TYPE
                assert answer.json()["status"] == answer.status_code
        assert MARKER not in log_stream.getvalue()

    with preserve_process_state():
        logs.configure(stream=log_stream)
        round_of_the_doors()
    assert MARKER not in "".join(capfd.readouterr())
    refused = sum(count for status, count in status_counts.items() if status >= 400)
    assert sum(status_counts.values()) >= rounds * ENDPOINTS
    assert refused > 0.8 * sum(status_counts.values())
    assert {400, 413, 415, 422} <= set(status_counts)
    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    assert sum(line["message"] == "request" for line in lines) == sum(status_counts.values())
    assert not [line for line in lines if line["level"] == "error"]


@pytest.mark.parametrize("place", ["lead_id", "attributes", "type", "as_of", "path"])
def test_a_wrong_value_is_told_to_its_sender_alone(app: App, place: str) -> None:
    body: dict[str, Any] = {"lead_id": "L1", "attributes": {}, "activities": []}
    path = "/v1/score"
    if place == "lead_id":
        body["lead_id"] = [MARKER]
    elif place == "attributes":
        body["attributes"] = {"employees": MARKER}
    elif place == "type":
        body["activities"] = [{"type": {MARKER: 1}, "at": MARKER}]
    else:
        path += f"?as_of={MARKER}" if place == "as_of" else f"/{MARKER}"
    log_stream = io.StringIO()
    with preserve_process_state():
        logs.configure("debug", stream=log_stream)
        answer = app.post(path, body)
    assert answer.status_code == (404 if place == "path" else 422)
    assert (MARKER in answer.text) == (place != "path")
    assert log_stream.getvalue().count('"message":"request"') == 1
    assert MARKER not in log_stream.getvalue()
