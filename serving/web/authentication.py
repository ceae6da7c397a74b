"""Who is let in, and to what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.web import credentials as caller
from serving.web import permissions as access
from serving.web import problems
from serving.web.api_keys import Key
from serving.web.credentials import Headers
from serving.web.key_cache import KeyCache
from serving.web.rate_limit import RateLimiter


class Authenticator:
    """The keys, how often each may ask, and whether this machine comes in without one.

    `open_on_loopback` holds only as long as there is no key at all.
    """

    def __init__(self, key_cache: KeyCache, rate_limiter: RateLimiter, open_on_loopback: bool) -> None:
        self._key_cache, self._rate_limiter, self._open = key_cache, rate_limiter, open_on_loopback

    def authenticate(self, scope: Mapping[str, Any], headers: Headers) -> Key | None:
        """Who asks; None where no key is needed. Raises the 401."""
        path = scope["path"]
        if path in access.OPEN_PATHS:
            return None
        if path == access.METRICS_PATH and caller.is_loopback_client(scope, headers):
            return None
        token = caller.read_token(headers)
        if token is not None:
            key = self._key_cache.find(token)
        else:
            free = self._open and self._key_cache.is_empty
            key = caller.LOOPBACK if free and caller.is_local_program(scope, headers) else None
        if key is None:
            raise problems.unauthorized()
        return key

    def authorize(self, key: Key, method: str, path: str) -> None:
        """Raises the Problem of a key that asks too often or for what it may not: 403 to 429."""
        wait = self._rate_limiter.retry_after(key.id)
        if wait:
            raise problems.too_many_requests(wait)
        if not access.is_allowed(key.role, method, path):
            raise _refusal(key, method, path)


def _refusal(key: Key, method: str, path: str) -> problems.Problem:
    if path not in access.ALLOW:
        return problems.not_found()  # whether it is there is no business of this key
    if not access.is_known(method, path):
        return problems.method_not_allowed(access.ALLOW[path])
    return problems.forbidden(key.role)
