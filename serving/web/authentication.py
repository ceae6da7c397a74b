"""Who is let in, and to what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.web import credentials as caller
from serving.web import permissions as access
from serving.web import problems
from serving.web.api_keys import Key
from serving.web.credentials import Headers
from serving.web.key_cache import Keyring
from serving.web.rate_limit import Limits


class Admission:
    """The keys, how often each may ask, and whether this machine comes in without one.

    `open_on_loopback` holds only as long as there is no key at all.
    """

    def __init__(self, keyring: Keyring, limits: Limits, open_on_loopback: bool) -> None:
        self._keyring, self._limits, self._open = keyring, limits, open_on_loopback

    def who(self, scope: Mapping[str, Any], headers: Headers) -> Key | None:
        """Who asks; None where no key is needed. Raises the 401."""
        path = scope["path"]
        if path in access.OPEN_PATHS:
            return None
        if path == access.METRICS_PATH and caller.is_near(scope, headers):
            return None
        token = caller.token_of(headers)
        if token is not None:
            key = self._keyring.who(token)
        else:
            free = self._open and self._keyring.empty
            key = caller.LOOPBACK if free and caller.is_local(scope, headers) else None
        if key is None:
            raise problems.no_key()
        return key

    def permit(self, key: Key, method: str, path: str) -> None:
        """Raises the Problem of a key that asks too often or for what it may not: 403 to 429."""
        wait = self._limits.wait(key.id)
        if wait:
            raise problems.too_many(wait)
        if not access.may(key.role, method, path):
            raise _refused(key, method, path)


def _refused(key: Key, method: str, path: str) -> problems.Problem:
    if path not in access.ALLOW:
        return problems.not_found()  # whether it is there is no business of this key
    if not access.is_known(method, path):
        return problems.wrong_method(access.ALLOW[path])
    return problems.forbidden(key.role)
