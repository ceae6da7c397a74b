"""Requests that nobody should send: wrong bodies, wrong HTTP, clients that leave or dawdle."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.hostile import SHAPES

KIB = 2**10
JSON = "Content-Type: application/json"
ENDPOINTS = (
    "/v1/score",
    "/v1/score/batch",
    "/v1/activities",
    "/v1/leads",
    "/v1/outcomes",
    "/v1/opportunities",
    "/v1/handovers",
    "/v1/overrides",
    "/v1/verdicts",
    "/score",
    "/score_batch",
)
_PATHS = {"lead": "/v1/score", "batch": "/v1/score/batch", "handovers": "/v1/handovers"}
_TIME = "2026-01-05T09:00:00Z"
RECORDS: Sequence[Mapping[str, Any]] = (
    {"id": "a", "lead_id": "L", "type": "visit", "at": _TIME},
    {"id": "b", "lead_id": "L", "updated_at": _TIME, "attributes": {"channel": "x"}},
    {"id": "c", "lead_id": "L", "outcome": "won", "closed_at": _TIME, "amount": 5.0},
    {"id": "d", "lead_id": "L", "opened_at": _TIME},
    {"id": "e", "lead_id": "L", "step": "sent_back", "reason": "no budget", "at": _TIME},
    {"id": "f", "lead_id": "L", "verdict": "hot", "reason": "it rang", "by": "S", "at": _TIME},
)
_VALUES: Sequence[Any] = (
    None,
    -1,
    1e300,
    10**18,
    "",
    "\0",
    "x" * 9_000,
    [],
    {},
    True,
    [[]],
    "0001-01-01T00:00:00+14:00",
    "=1+1",
    "<script>",
    "\u202e",
)
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20))
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@dataclass(frozen=True)
class HostileRequest:
    """Bytes for a connection, sent part by part. `leaves`: the client is gone before the answer."""

    kind: str
    parts: Sequence[bytes]
    pause_seconds: float = 0.0
    leaves: bool = False
    method: str = "POST"
    is_page: bool = False


def generate(rng: random.Random, lead_bodies: Sequence[Mapping[str, Any]]) -> Iterator[HostileRequest]:
    """Hostile requests without end, in a random order."""
    good = [*lead_bodies[:20], {"leads": [*lead_bodies[:2]]}, *RECORDS]
    trees = draw_trees(2_000)
    small = [shape for shape in SHAPES if shape.size <= 80 * KIB]
    large = itertools.chain.from_iterable(large_requests() for _ in itertools.count())
    odd, slow = odd_requests(), slow_requests()
    for number in itertools.count():
        way = rng.random()
        if number % 5_000 == 4_999:
            yield next(large)
        elif way < 0.5:
            yield post(rng.choice(ENDPOINTS), make_malformed(rng, good), "malformed body")
        elif way < 0.7:
            body = orjson.dumps(insert_tree(rng, good, rng.choice(trees)), option=orjson.OPT_NON_STR_KEYS)
            yield post(rng.choice(ENDPOINTS), body, "drawn body")
        elif way < 0.75:
            shape = rng.choice(small)
            yield post(_PATHS[shape.kind], shape.build(), f"{shape.kind} {shape.name}")
        elif way < 0.995:
            yield rng.choice(odd)
        else:
            yield rng.choice(slow)


def large_requests() -> Iterator[HostileRequest]:
    """Each of the large shapes once, built when it is its turn."""
    for shape in SHAPES:
        if shape.size > 80 * KIB:
            yield post(_PATHS[shape.kind], shape.build(), f"{shape.kind} {shape.name}")


def draw_trees(count: int) -> list[Any]:
    """JSON values as hypothesis draws them."""
    drawn: list[Any] = []

    @seed(1)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(_TREES)
    def collect(tree: Any) -> None:
        if is_encodable(tree):
            drawn.append(tree)

    collect()
    return drawn


def is_encodable(tree: Any) -> bool:
    try:
        orjson.dumps(tree)
    except TypeError:  # an integer over 64 bits, half of a surrogate pair
        return False
    return True


def insert_tree(rng: random.Random, good: Sequence[Any], tree: Any) -> Any:
    """A right body with the tree in place of a value, or the tree alone."""
    body = orjson.loads(orjson.dumps(rng.choice(good)))
    if rng.random() < 0.2:
        return tree
    body[rng.choice([*body, "unknown"])] = tree
    return [body] if rng.random() < 0.1 else body


def make_malformed(rng: random.Random, good: Sequence[Mapping[str, Any]]) -> bytes:
    """A malformed body: random bytes, or a valid body with an error in it."""
    body = orjson.dumps(rng.choice(good))
    way = rng.randrange(6)
    if way == 0:
        return rng.randbytes(rng.randrange(200))
    if way == 1:
        return body[: rng.randrange(len(body))]
    if way == 2:
        position = rng.randrange(len(body))
        return body[:position] + rng.randbytes(rng.randrange(1, 5)) + body[position + rng.randrange(4) :]
    if way == 3:
        return b"[" * rng.randrange(1, 2_000) + body
    parsed = orjson.loads(body)
    parsed[rng.choice([*parsed, "unknown"])] = rng.choice(_VALUES)
    return orjson.dumps([parsed] * rng.randrange(3) if way == 4 else parsed)


def post(path: str, body: bytes, kind: str, *headers: str) -> HostileRequest:
    """A POST of a body, by default as JSON."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        *(headers or (JSON,)),
        f"Content-Length: {len(body)}",
    ]
    return HostileRequest(kind, ["\r\n".join([*lines, "", ""]).encode() + body])


def _raw(kind: str, text: str, method: str = "GET", is_page: bool = False) -> HostileRequest:
    return HostileRequest(
        kind, [text.replace("\n", "\r\n").encode("latin-1")], method=method, is_page=is_page
    )


def odd_requests() -> list[HostileRequest]:
    """HTTP that is odd or wrong, methods and paths that there are not, and clients that leave."""
    return [*_odd_heads(), *_odd_bodies(), *_odd_paths(), *_leaving_clients()]


def _odd_heads() -> Iterator[HostileRequest]:
    host = "Host: 127.0.0.1\n"
    heads = {
        "no host": "GET /livez HTTP/1.1\n\n",
        "two hosts": f"GET /livez HTTP/1.1\n{host}Host: b\n\n",
        "foreign host": "GET /metrics HTTP/1.1\nHost: evil.example\n\n",
        "two lengths": f"POST /v1/score HTTP/1.1\n{host}Content-Length: 2\nContent-Length: 3\n\n{{}}",
        "length and chunks": (
            f"POST /v1/score HTTP/1.1\n{host}Content-Length: 2\nTransfer-Encoding: chunked\n\n0\n\n"
        ),
        "signed length": f"POST /v1/score HTTP/1.1\n{host}Content-Length: +2\n\n{{}}",
        "unknown encoding": f"POST /v1/score HTTP/1.1\n{host}Transfer-Encoding: gzip\n\n",
        "wrong chunk": f"POST /v1/score HTTP/1.1\n{host}Transfer-Encoding: chunked\n\nzz\n{{}}\n0\n\n",
        "NUL in a header": f"GET /livez HTTP/1.1\n{host}X: a\0b\n\n",
        "folded header": f"GET /livez HTTP/1.1\n{host}X: a\n b\n\n",
        "lower-case method": f"get /livez HTTP/1.1\n{host}\n",
        "HTTP/2": "PRI * HTTP/2.0\n\nSM\n\n",
        "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n",
        "no HTTP": "hello\n\n",
        "HTTP/1.0": "GET /livez HTTP/1.0\n\n",
        "HTTP/3.7": f"GET /livez HTTP/3.7\n{host}\n",
        "long header": f"GET /livez HTTP/1.1\n{host}X: {'x' * 70_000}\n\n",
        "many headers": f"GET /livez HTTP/1.1\n{host}{''.join(f'X{i}: 1{chr(10)}' for i in range(300))}\n",
        "long path": f"GET /{'x' * 70_000} HTTP/1.1\n{host}\n",
        "two keys": f"GET /v1/hot HTTP/1.1\n{host}Authorization: Bearer a\nAuthorization: Bearer b\n\n",
        "odd key": f"GET /v1/hot HTTP/1.1\n{host}X-API-Key: \xff\xfe\n\n",
        "h2c": (
            f"GET /v1/hot HTTP/1.1\n{host}Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\n"
            "HTTP2-Settings: AAMAAABk\n\n"
        ),
        "websocket": f"GET /v1/hot HTTP/1.1\n{host}Connection: Upgrade\nUpgrade: websocket\n\n",
        "expect": f"POST /v1/score HTTP/1.1\n{host}Expect: 7-pigeons\nContent-Length: 2\n{JSON}\n\n{{}}",
    }
    return (_raw(kind, text) for kind, text in heads.items())


def _odd_bodies() -> Iterator[HostileRequest]:
    form = "Content-Type: multipart/form-data; boundary=x"
    for path in ("/score", "/score_batch", "/v1/score", "/v1/activities"):
        yield post(path, b"x", "multipart that is none", form)
        yield post(path, b"{}", "pickle", "Content-Type: application/vnd.bentoml+pickle")
        yield post(path, b"{}", "compressed", JSON, "Content-Encoding: gzip")
        yield post(path, b'{"lead_id":"\xff"}', "not UTF-8")
        yield post(path, '{"lead_id":"a"}'.encode("utf-16"), "UTF-16", f"{JSON}; charset=utf-16")
        yield post(path, b"", "no body")


def _odd_paths() -> Iterator[HostileRequest]:
    paths = [*ENDPOINTS, "/v1/hot", "/v1/model", "/livez", "/readyz", "/metrics", "/v1/openapi.json", "/x"]
    for path, method in itertools.product(paths, ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")):
        yield _raw(f"{method} of a path", f"{method} {path} HTTP/1.1\nHost: 127.0.0.1\n\n", method)
    for path in ("//v1/hot", "/v1/hot/", "/v1/%68ot", "/v1/hot;a", "/v1/../v1/hot", "/v1/hot%00", "/V1/HOT"):
        yield _raw("path trick", f"GET {path} HTTP/1.1\nHost: 127.0.0.1\n\n")
    for query in ("limit=-1", "limit=9999999999", "cursor=%00", "as_of=x", "a" * 5_000, "cursor=' OR 1=1"):
        yield _raw("odd query", f"GET /v1/hot?{query.replace(' ', '+')} HTTP/1.1\nHost: 127.0.0.1\n\n")
    for path in ("/review", "/review/x", "/review/lead?id=%00", "/review/calls?page=-1", "/review?lang=xx"):
        yield _raw("page", f"GET {path} HTTP/1.1\nHost: 127.0.0.1\n\n", is_page=True)
    for body in ("a" * 20_000, "user=%ff&csrf=x", ""):
        head = (
            f"Host: 127.0.0.1\nContent-Type: application/x-www-form-urlencoded\nContent-Length: {len(body)}"
        )
        yield _raw("sign-in", f"POST /review/sign-in HTTP/1.1\n{head}\n\n{body}", "POST", is_page=True)


def _leaving_clients() -> Iterator[HostileRequest]:
    lead = b'{"lead_id":"a","attributes":{}}'
    head = f"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\n{JSON}\r\nContent-Length: %d\r\n\r\n"
    request = (head % len(lead)).encode() + lead
    for cut in (1, 30, len(request) - 5, len(request)):
        yield HostileRequest("a client that leaves", [request[:cut]], leaves=True)
    form = b"POST /review/sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\nuser="
    yield HostileRequest("a client that leaves", [form], leaves=True, is_page=True)


def slow_requests() -> list[HostileRequest]:
    """Headers that are not complete in time, and bodies that come in pieces."""
    lead = b'{"lead_id":"a","attributes":{}}'
    head = f"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\n{JSON}\r\nContent-Length: {len(lead)}\r\n\r\n"
    pieces = [lead[i : i + 8] for i in range(0, len(lead), 8)]
    return [
        HostileRequest("slow headers", [b"GET /livez HTTP/1.1\r\nHost:", b" 127.0.0.1\r\nX:"], 0.2),
        HostileRequest("slow body", [head.encode(), *pieces], 0.2),
    ]
