"""Authentication and authorization of a request."""

from __future__ import annotations

from starlette.types import Scope

from serving.web import problems
from serving.web.api_keys import Key
from serving.web.credentials import LOOPBACK, Headers, is_local_program, is_loopback_client, read_token
from serving.web.key_cache import KeyCache
from serving.web.permissions import ALLOW, METRICS_PATH, OPEN_PATHS, is_allowed, is_known
from serving.web.rate_limit import RateLimiter


class Authenticator:
    """Checks keys, rates and permissions.

    With `open_on_loopback`, programs on this machine need no key as long as no key exists at all.
    """

    def __init__(self, key_cache: KeyCache, rate_limiter: RateLimiter, open_on_loopback: bool) -> None:
        self._key_cache, self._rate_limiter, self._open = key_cache, rate_limiter, open_on_loopback

    def authenticate(self, scope: Scope, headers: Headers) -> Key | None:
        """The key of the sender; None where none is needed. Raises Problem 401."""
        path = scope["path"]
        if path in OPEN_PATHS:
            return None
        if path == METRICS_PATH and is_loopback_client(scope, headers):
            return None
        token = read_token(headers)
        if token is not None:
            key = self._key_cache.find(token)
        else:
            free = self._open and self._key_cache.is_empty
            key = LOOPBACK if free and is_local_program(scope, headers) else None
        if key is None:
            raise problems.unauthorized()
        return key

    def authorize(self, key: Key, method: str, path: str) -> None:
        """Raise Problem 403, 404, 405 or 429 when the key may not do this, or not now."""
        wait = self._rate_limiter.retry_after(key.id)
        if wait:
            raise problems.too_many_requests(wait)
        if not is_allowed(key.role, method, path):
            raise _refusal(key, method, path)


def _refusal(key: Key, method: str, path: str) -> problems.Problem:
    if path not in ALLOW:
        return problems.not_found()  # do not reveal which paths exist
    if not is_known(method, path):
        return problems.method_not_allowed(ALLOW[path])
    return problems.forbidden(key.role)
