"""The API keys in a worker's memory: reloaded when their file changes, kept while it cannot be read."""

from __future__ import annotations

import hmac
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from features.clock import now_ms
from features.errors import HotleadError
from features.files import FileVersion, file_version
from serving.web.api_keys import Key, hash_token, parse_key_id, read_keys

POLL_SECONDS = 1.0
MAX_TOKEN_LENGTH = 200

log = logging.getLogger(__name__)


class KeyCache:
    """The keys of a file. `clock` returns monotonic seconds, `now` ms UTC."""

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.monotonic, now: Callable[[], int] = now_ms
    ) -> None:
        self._path, self._clock, self._now = path, clock, now
        self._keys: dict[str, list[Key]] = {}
        self._last_stamp: FileVersion | bool | None = False  # False: never read well
        self._is_readable = True
        self._next_poll = clock()

    def find(self, token: str) -> Key | None:
        """The key of a token; None when it is unknown or has expired."""
        self._poll()
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            return None
        # The id is no secret, so finding its entries need not take constant time; comparing does.
        digest = hash_token(token)
        for key in self._keys.get(parse_key_id(token) or "", ()):
            if hmac.compare_digest(key.digest, digest):
                return key if key.expires_at is None or key.is_valid(self._now()) else None
        return None

    def by_digest(self, key_id: str, digest: str) -> Key | None:
        """The key with an id whose digest starts with `digest`; None when it is unknown or has expired."""
        self._poll()
        now = self._now()
        for key in self._keys.get(key_id, ()):
            if hmac.compare_digest(key.digest[: len(digest)], digest) and key.is_valid(now):
                return key
        return None

    @property
    def is_empty(self) -> bool:
        """Whether there is certainly no key: a file that cannot be read may contain some."""
        self._poll()
        return self._is_readable and not self._keys

    def _poll(self) -> None:
        """Reload the file when it has changed; look at most once a second."""
        seconds = self._clock()
        if seconds < self._next_poll:
            return
        self._next_poll = seconds + POLL_SECONDS
        try:
            stamp = file_version(self._path)
            if stamp is None and self._last_stamp:
                self._keep_last("it is gone")
            elif stamp != self._last_stamp:
                self._reload(stamp)
            else:
                self._is_readable = True
        except (HotleadError, OSError) as problem:
            self._keep_last(type(problem).__name__)

    def _reload(self, stamp: FileVersion | None) -> None:
        keys = defaultdict(list)
        for key in read_keys(self._path):
            keys[key.id].append(key)
        self._keys, self._last_stamp, self._is_readable = dict(keys), stamp, True
        log.info("API keys read", extra={"keys": len(keys)})

    def _keep_last(self, why: str) -> None:
        """Keep the last keys, so that a file that is briefly unreadable locks no user out."""
        if self._is_readable:
            log.error("The file of API keys cannot be read; the last keys stay", extra={"why": why})
        self._is_readable = False
