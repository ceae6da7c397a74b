"""The headers of requests that count, and those that every answer has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

RawHeaders = Iterable[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

# What the app says of these is replaced.
_FORCED_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"server", b"hotlead"),  # neither the server's name nor its version
]
# What the app says of these stays.
_DEFAULT_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_REPLACED_NAMES = frozenset({*dict(_FORCED_HEADERS), b"x-request-id"})
_PASSED_THROUGH = {b"allow": "Allow", b"retry-after": "Retry-After", b"www-authenticate": "WWW-Authenticate"}


def read_request_id(headers: Mapping[bytes, bytes]) -> str | None:
    """The sender's own request id, where it is 1 to 64 of A-Z a-z 0-9 . _ -"""
    value = headers.get(b"x-request-id", b"")
    return value.decode("ascii") if _REQUEST_ID.fullmatch(value) else None


def read_content_length(headers: Mapping[bytes, bytes]) -> int:
    """What the sender says that its body is long; 0 where it does not say so in digits."""
    value = headers.get(b"content-length", b"")
    # Twenty digits are beyond any limit, and no work to read.
    return int(value[:20]) if value.isdigit() else 0


def with_security_headers(headers: RawHeaders, request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer (names in lower case, as ASGI has them) with ours."""
    result = [pair for pair in headers if pair[0] not in _REPLACED_NAMES]
    names = {name for name, _ in result}
    result += _FORCED_HEADERS
    result += [pair for pair in _DEFAULT_HEADERS if pair[0] not in names]
    result.append((b"x-request-id", request_id.encode()))
    return result


def error_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The headers of an error that its problem keeps."""
    return {name: headers[raw].decode("latin-1") for raw, name in _PASSED_THROUGH.items() if raw in headers}
