"""Credentials of a request: its token, and whether it comes from this machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

from serving.web.api_keys import Key

LOOPBACK = Key(id="loopback", role="admin", name="local user", created_at=0)
"""The key of requests from this machine while no keys exist and HOTLEAD_OPEN is set."""

_MAX_LENGTH = 300  # longer than any token
_PROXY_HEADERS = (
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-forwarded-server",
    b"forwarded",
    b"x-real-ip",
    b"via",
)

Headers = Mapping[bytes, bytes]


def read_token(headers: Headers) -> str | None:
    """The token in `Authorization: Bearer`, else in `X-API-Key`; None when there is neither."""
    scheme, _, token = headers.get(b"authorization", b"")[:_MAX_LENGTH].partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip().decode("latin-1")
    api_key = headers.get(b"x-api-key")
    return None if api_key is None else api_key[:_MAX_LENGTH].decode("latin-1")


def is_loopback_client(scope: Scope, headers: Headers) -> bool:
    """Whether the client is on this machine and the request did not come through a proxy."""
    client = scope.get("client")
    if client is None or any(name in headers for name in _PROXY_HEADERS):
        return False
    return _is_loopback(client[0])


def is_local_program(scope: Scope, headers: Headers) -> bool:
    """Whether the client is a program on this machine, not a web page in its user's browser.

    A page of another site can send requests here, and its name may even resolve to 127.0.0.1; Host, Origin
    or Sec-Fetch-Site reveal it.
    """
    if not is_loopback_client(scope, headers) or headers.get(b"sec-fetch-site") == b"cross-site":
        return False
    origin = headers.get(b"origin")
    return _is_local_url(b"//" + headers.get(b"host", b"")) and (origin is None or _is_local_url(origin))


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (inner or address).is_loopback


@lru_cache(maxsize=1024)
def _is_local_url(url: bytes) -> bool:
    try:
        host = urlsplit(url.decode("latin-1")).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or _is_loopback(host)
