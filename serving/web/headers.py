"""The headers of requests that count, and those that every answer has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Raw = Iterable[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

# What the app says of these is replaced.
_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"server", b"hotlead"),  # neither the server's name nor its version
]
# What the app says of these stays.
_UNLESS_SET = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_OURS = frozenset({*dict(_ALWAYS), b"x-request-id"})
_LEFT = {b"allow": "Allow", b"retry-after": "Retry-After", b"www-authenticate": "WWW-Authenticate"}


def request_id(headers: Mapping[bytes, bytes]) -> str | None:
    """The sender's own request id, where it is 1 to 64 of A-Z a-z 0-9 . _ -"""
    told = headers.get(b"x-request-id", b"")
    return told.decode("ascii") if _REQUEST_ID.fullmatch(told) else None


def content_length(headers: Mapping[bytes, bytes]) -> int:
    """What the sender says that its body is long; 0 where it does not say so in digits."""
    told = headers.get(b"content-length", b"")
    # Twenty digits are beyond any limit, and no work to read.
    return int(told[:20]) if told.isdigit() else 0


def dressed(headers: Raw, request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer (names in lower case, as ASGI has them) with ours."""
    told = [pair for pair in headers if pair[0] not in _OURS]
    names = {name for name, _ in told}
    told += _ALWAYS
    told += [pair for pair in _UNLESS_SET if pair[0] not in names]
    told.append((b"x-request-id", request_id.encode()))
    return told


def kept(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The headers of an error that its problem keeps."""
    return {name: headers[raw].decode("latin-1") for raw, name in _LEFT.items() if raw in headers}
