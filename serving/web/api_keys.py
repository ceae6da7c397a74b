"""API keys: one file with each key's id, role, name and the digest of its secret; a worker's copy of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from features.clock import NEVER, now_ms
from features.errors import DataError, HotleadError, OutsideError, suggest_nearest
from features.files import FileVersion, atomic_file, file_lock, file_version, write_private
from features.messages import as_message

Role: TypeAlias = Literal["crm", "reviewer", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
GRACE_MS = 24 * 3_600_000
"""How long the former secret of a rotated key stays valid, so that its CRM can switch over."""
MAX_SECRETS = 10
"""The secrets that the file keeps of one key: the one in use, and former ones."""
POLL_SECONDS = 1.0
MAX_TOKEN_LENGTH = 200
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """One secret of an API key. Times are ms UTC; `expires_at` None: it does not expire.

    A rotated key has two entries with the same id until its former secret has expired.
    """

    id: str
    role: Role
    name: str
    created_at: int
    expires_at: int | None = None
    digest: str = field(default="", repr=False)

    def is_valid(self, moment_ms: int) -> bool:
        return self.expires_at is None or moment_ms < self.expires_at


def hash_token(token: str) -> str:
    """The digest of a token that is stored.

    The secret is 256 random bits and cannot be guessed, so SHA-256 is enough; a password would need a slow
    hash.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def add(path: Path, role: str, name: str, expires_at: int | None = None) -> tuple[Key, str]:
    """Add a key; return it and its token, which is not stored.

    Raises DataError for an unknown role or an empty name, OutsideError when the file cannot be written.
    """
    if role not in ROLES:
        raise DataError(
            "role: there is none called {role!r}; {nearest}.",
            role=role,
            nearest=suggest_nearest(role, list(ROLES)),
        )
    if not name.strip() or len(name) > 80:
        raise DataError("name: {name!r} must be 1 to 80 characters that say whose key it is.", name=name[:80])
    with _edit_keys(path) as keys:
        taken = {key.id for key in keys}
        new_id = next(i for i in iter(lambda: secrets.token_hex(4), "") if i not in taken)
        key, token = _issue_token(Key(new_id, role, name.strip(), now_ms(), expires_at))  # type: ignore[arg-type]
        keys.append(key)
    return key, token


def rotate(path: Path, key_id: str, grace_ms: int = GRACE_MS) -> tuple[Key, str]:
    """Give a key a new secret, and let the former ones expire `grace_ms` from now.

    Returns the key and its new token. Raises DataError for an unknown id.
    """
    if grace_ms < 0:
        raise DataError("grace: {grace_ms} ms is not allowed; it must be 0 or more.", grace_ms=grace_ms)
    with _edit_keys(path) as keys:
        newest = _find_by_id(keys, key_id)[-1]
        end = now_ms() + grace_ms
        # Without grace they are removed: a clock that is set back later must not revive them.
        keys[:] = [
            replace(key, expires_at=min(end, NEVER if key.expires_at is None else key.expires_at))
            if key.id == key_id
            else key
            for key in keys
            if grace_ms or key.id != key_id
        ]
        key, token = _issue_token(replace(newest, created_at=now_ms()))
        keys.append(key)
    return key, token


def revoke(path: Path, key_id: str) -> Key:
    """Remove a key with all its secrets. Raises DataError for an unknown id."""
    with _edit_keys(path) as keys:
        revoked = _find_by_id(keys, key_id)[-1]
        keys[:] = [key for key in keys if key.id != key_id]
    return revoked


def read_keys(path: Path) -> list[Key]:
    """All keys of the file, the oldest first; none when there is no file.

    Raises DataError when the file's content is invalid, OutsideError when it cannot be read.
    """
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
        return [_parse_key(entry) for entry in parsed["keys"]]
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise OutsideError(
            "{path}: cannot be read ({reason}).", path=path, reason=as_message(str(problem.strerror))
        ) from None
    except (ValueError, KeyError, TypeError):
        raise DataError(
            "{path}: is no file of API keys. Bring it back from a backup, or delete it and make "
            "new keys with `hotlead keys add`.",
            path=path,
        ) from None


def _parse_key(entry: dict[str, Any]) -> Key:
    """Parse an entry of the file. Raises TypeError or ValueError when it is invalid."""
    key = Key(**entry)
    has_texts = all(isinstance(text, str) for text in (key.id, key.name, key.digest))
    has_times = isinstance(key.created_at, int) and isinstance(key.expires_at, int | None)
    if not has_texts or not has_times or key.role not in ROLES or len(bytes.fromhex(key.digest)) != 32:
        raise ValueError("not a key")
    return key


def _issue_token(key: Key) -> tuple[Key, str]:
    token = f"hl_{key.id}_{secrets.token_urlsafe(32)}"
    return replace(key, digest=hash_token(token)), token


def _find_by_id(keys: Sequence[Key], key_id: str) -> list[Key]:
    matches = [key for key in keys if key.id == key_id]
    if not matches:
        hint = suggest_nearest(key_id, list(dict.fromkeys(key.id for key in keys)))
        raise DataError(
            "id: there is no key {key_id!r}; {hint}. `hotlead keys list` shows all.", key_id=key_id, hint=hint
        )
    return matches


@contextmanager
def _edit_keys(path: Path) -> Iterator[list[Key]]:
    """The keys to change in place; written when the block ends well. One process at a time."""
    # The lock is a file of its own because `path` is replaced.
    with file_lock(_lock_path(path)):
        keys = read_keys(path)
        yield keys
        entries = [asdict(key) for key in _without_old_secrets(keys)]
        text = json.dumps({"keys": entries}, ensure_ascii=False, indent=1)
        with atomic_file(path) as part:
            write_private(part, f"{text}\n".encode())


def _without_old_secrets(keys: Sequence[Key]) -> list[Key]:
    """The keys with the newest secrets of each, ended ones included: only a person removes a key, for the
    clock by which it ended may be wrong."""
    newest: list[Key] = []
    counts: Counter[str] = Counter()
    for key in reversed(keys):
        counts[key.id] += 1
        if counts[key.id] <= MAX_SECRETS:
            newest.append(key)
    return newest[::-1]


def _lock_path(path: Path) -> Path:
    """The file that is locked while keys change. It stays: keys were made here, even if none is left."""
    return path.with_name(f".{path.name}.lock")


class KeyCache:
    """The keys of a file in memory: read again when it changes, kept while it cannot be read, revoked when it
    is deleted.

    `clock` returns monotonic seconds, `now` ms UTC.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.monotonic, now: Callable[[], int] = now_ms
    ) -> None:
        self._path, self._clock, self._now = path, clock, now
        self._keys: dict[str, list[Key]] = {}
        self._last_stamp: FileVersion | bool | None = False  # False: never read well
        self._is_readable, self._was_used = True, False
        self._next_poll = clock()

    def find(self, token: str) -> Key | None:
        """The key of a token hl_<id>_<secret>; None when it is unknown or has expired."""
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            return None
        prefix, _, rest = token.partition("_")
        key_id = rest.partition("_")[0]
        return self.by_digest(key_id, hash_token(token)) if prefix == "hl" else None

    def by_digest(self, key_id: str, digest: str) -> Key | None:
        """The key with an id whose digest starts with `digest`; None when it is unknown or has expired.

        The id is no secret, so finding its entries need not take constant time; comparing does.
        """
        self._poll()
        now = self._now()
        for key in self._keys.get(key_id, ()):
            if hmac.compare_digest(key.digest[: len(digest)], digest) and key.is_valid(now):
                return key
        return None

    def find_id(self, token: str) -> str | None:
        """The id that a token names, if there is a key of that id: then it is no part of a secret."""
        key_id = token[:MAX_TOKEN_LENGTH].partition("_")[2].partition("_")[0]
        return key_id if key_id in self._keys else None

    @property
    def is_empty(self) -> bool:
        """Whether there is certainly no key: a file that cannot be read may contain some."""
        self._poll()
        return self._is_readable and not self._keys

    @property
    def was_never_used(self) -> bool:
        """Whether no key was ever made, revoked and deleted ones included."""
        return self.is_empty and not self._was_used and not _lock_path(self._path).exists()

    def _poll(self) -> None:
        """Reload the file when it has changed; look at most once a second."""
        seconds = self._clock()
        if seconds < self._next_poll:
            return
        self._next_poll = seconds + POLL_SECONDS
        try:
            stamp = file_version(self._path)
            if stamp != self._last_stamp:
                self._reload(stamp)
            self._is_readable = True
        except (HotleadError, OSError) as problem:
            self._keep_last(type(problem).__name__)

    def _reload(self, stamp: FileVersion | None) -> None:
        keys = defaultdict(list)
        for key in read_keys(self._path):
            keys[key.id].append(key)
        self._keys, self._last_stamp, self._is_readable = dict(keys), stamp, True
        self._was_used |= stamp is not None
        log.info("API keys read", extra={"keys": len(keys)})

    def _keep_last(self, why: str) -> None:
        """Keep the last keys, so that a file that is briefly unreadable locks no user out."""
        if self._is_readable:
            log.error("The file of API keys cannot be read; the last keys stay", extra={"why": why})
        self._is_readable = False
