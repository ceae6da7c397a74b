"""The keys as a worker knows them: read again when their file changes, good while it is away."""

from __future__ import annotations

import hmac
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from features.clock import now_ms
from features.errors import HotleadError
from serving.web.api_keys import Key, digest_of, id_of, read_keys

LOOK_AGAIN_S = 1.0
LONGEST_TOKEN = 200

log = logging.getLogger(__name__)

Seen = tuple[int, int, int] | None


class Keyring:
    """The keys in a file. `clock` gives seconds that only rise, `now` ms UTC."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = now_ms,
    ) -> None:
        self._path, self._clock, self._now = path, clock, now
        self._keys: dict[str, list[Key]] = {}
        self._seen: Seen | bool = False  # False: never read well
        self._well = True
        self._next_look = clock()

    def who(self, token: str) -> Key | None:
        """The key that a token belongs to, or None where it is not known or not in force."""
        self._look()
        if len(token) > LONGEST_TOKEN or not token.isascii():
            return None
        # The id is no secret, so finding its entries need not take constant time; comparing does.
        digest = digest_of(token)
        for key in self._keys.get(id_of(token) or "", ()):
            if hmac.compare_digest(key.digest, digest):
                return key if key.expires_at is None or key.holds(self._now()) else None
        return None

    def holder(self, key_id: str, digest: str) -> Key | None:
        """The key of an id whose digest begins so, or None where it is not known or not in force."""
        self._look()
        now = self._now()
        for key in self._keys.get(key_id, ()):
            if hmac.compare_digest(key.digest[: len(digest)], digest) and key.holds(now):
                return key
        return None

    @property
    def empty(self) -> bool:
        """Whether there is surely no key at all; a file that cannot be read may hold some."""
        self._look()
        return self._well and not self._keys

    def _look(self) -> None:
        """Read the file again where it changed, at most once a second."""
        at = self._clock()
        if at < self._next_look:
            return
        self._next_look = at + LOOK_AGAIN_S
        try:
            seen = _stamp(self._path)
            if seen is None and self._seen:
                self._stay("it is gone")
            elif seen != self._seen:
                self._take(seen)
            else:
                self._well = True
        except (HotleadError, OSError) as problem:
            self._stay(type(problem).__name__)

    def _take(self, seen: Seen) -> None:
        keys = defaultdict(list)
        for key in read_keys(self._path):
            keys[key.id].append(key)
        self._keys, self._seen, self._well = dict(keys), seen, True
        log.info("API keys read", extra={"keys": len(keys)})

    def _stay(self, why: str) -> None:
        """Keep the keys that were read last: nobody is locked out for a moment's trouble."""
        if self._well:
            log.error("The file of API keys cannot be read; the last keys stay", extra={"why": why})
        self._well = False


def _stamp(path: Path) -> Seen:
    """What changes when the file does; None where there is none."""
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino
