"""Authentication and authorization of a request: its key, the rate of that key, and what its role may do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

from serving.web import problems
from serving.web.api_keys import Key, KeyCache
from serving.web.failed_sign_ins import Door, FailedSignIns
from serving.web.permissions import ALLOW, METRICS_PATH, OPEN_PATHS, is_allowed, is_known

LOOPBACK = Key(id="loopback", role="admin", name="local user", created_at=0)
"""The key of requests from this machine before the first key is made, while HOTLEAD_OPEN is set."""
MAX_KEYS = 10_000
"""The number of keys whose rate is in memory; the least recently used one is dropped first."""

_MAX_LENGTH = 300  # longer than any token
_MAX_ADDRESS = 45  # an IPv4 address in IPv6
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


class RateLimiter:
    """A token bucket for each key: at most `rate` requests per second, in bursts of `rate` (at least 1).

    `rate` 0 means no limit. `clock` returns monotonic seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._capacity, self._clock = rate, max(1.0, rate), clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def retry_after(self, key_id: str) -> float:
        """Take a token and return 0, or return the seconds until the key has one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        tokens, refilled_at = self._buckets.pop(key_id, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - refilled_at) * self._rate)
        allowed = tokens >= 1
        # Inserted at the end: the dictionary's order is the order of use.
        self._buckets[key_id] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_KEYS:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if allowed else (1 - tokens) / self._rate

    def __len__(self) -> int:
        return len(self._buckets)


class Authenticator:
    """Checks keys, rates and permissions.

    With `open_on_loopback`, programs on this machine need no key until the first key is made.
    """

    def __init__(
        self,
        key_cache: KeyCache,
        rate_limiter: RateLimiter,
        failed_sign_ins: FailedSignIns,
        open_on_loopback: bool,
    ) -> None:
        self._key_cache, self._rate_limiter, self._open = key_cache, rate_limiter, open_on_loopback
        self._failed_sign_ins = failed_sign_ins

    def authenticate(self, scope: Scope, headers: Headers) -> Key | None:
        """The key of the sender; None where none is needed. Raises Problem as `find_key`."""
        path = scope["path"]
        if path in OPEN_PATHS:
            return None
        if path == METRICS_PATH and is_local_program(scope, headers):
            return None
        token = read_token(headers)
        if token is not None:
            return self.find_key(token, "api", scope, headers)
        if self._open and self._key_cache.was_never_used and is_local_program(scope, headers):
            return LOOPBACK
        raise problems.unauthorized()

    def find_key(self, token: str, door: Door, scope: Scope, headers: Headers) -> Key:
        """The key of a token that was sent to the API or to the sign-in page.

        Raises Problem: 401 for a wrong one, 429 when many wrong ones came from this address.
        """
        key = self._key_cache.find(token)
        if key is None:
            address = find_client_address(scope, headers)
            wait = self._failed_sign_ins.record(address, door, self._key_cache.find_id(token))
            raise problems.too_many_wrong_keys(wait) if wait else problems.unauthorized()
        return key

    def authorize(self, key: Key, method: str, path: str) -> None:
        """Raise Problem 403, 404, 405 or 429 when the key may not do this, or not now."""
        wait = self._rate_limiter.retry_after(key.id)
        if wait:
            raise problems.too_many_requests(wait)
        if not is_allowed(key.role, method, path):
            if path not in ALLOW:
                raise problems.not_found()  # do not reveal which paths exist
            if not is_known(method, path):
                raise problems.method_not_allowed(ALLOW[path])
            raise problems.forbidden(key.role)


def read_token(headers: Headers) -> str | None:
    """The token in `Authorization: Bearer`, else in `X-API-Key`; None when there is neither."""
    scheme, _, token = headers.get(b"authorization", b"")[:_MAX_LENGTH].partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip().decode("latin-1")
    api_key = headers.get(b"x-api-key")
    return None if api_key is None else api_key[:_MAX_LENGTH].strip().decode("latin-1")


def find_client_address(scope: Scope, headers: Headers) -> str:
    """The address of the sender: that of the connection or, from a proxy on this machine, the last one in
    X-Forwarded-For, which the proxy has added. Empty when there is none."""
    client = scope.get("client")
    address = client[0] if client else ""
    last = headers.get(b"x-forwarded-for", b"").rpartition(b",")[2].strip()
    forwarded = last[:_MAX_ADDRESS].decode("latin-1")
    return forwarded if _is_loopback(address) and _is_address(forwarded) else address


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


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _is_local_url(url: bytes) -> bool:
    try:
        host = urlsplit(url.decode("latin-1")).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or _is_loopback(host)
