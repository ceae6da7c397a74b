"""API keys: one file with each key's id, role, name and the digest of its secret."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from features.clock import NEVER, now_ms
from features.errors import DataError, OutsideError, suggest_nearest
from features.files import atomic_file, file_lock, write_private

Role: TypeAlias = Literal["crm", "reviewer", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
GRACE_MS = 24 * 3_600_000
"""How long the former secret of a rotated key stays valid, so that its CRM can switch over."""


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
        """Whether it has not expired at a moment (ms UTC)."""
        return self.expires_at is None or moment_ms < self.expires_at


def hash_token(token: str) -> str:
    """The digest of a token that is stored.

    The secret is 256 random bits and cannot be guessed, so SHA-256 is enough; a password would need a slow
    hash.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def parse_key_id(token: str) -> str | None:
    """The id in a token hl_<id>_<secret>; None when it has another form."""
    parts = token.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "hl" else None


def add(path: Path, role: str, name: str, expires_at: int | None = None) -> tuple[Key, str]:
    """Add a key; return it and its token, which is not stored.

    Raises DataError for an unknown role or an empty name, OutsideError when the file cannot be written.
    """
    if role not in ROLES:
        raise DataError(f"role: there is none called {role!r}; {suggest_nearest(role, list(ROLES))}.")
    if not name.strip() or len(name) > 80:
        raise DataError(f"name: {name[:80]!r} must be 1 to 80 characters that say whose key it is.")
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
        raise DataError(f"grace: {grace_ms} ms is not allowed; it must be 0 or more.")
    with _edit_keys(path) as keys:
        newest = _find_by_id(keys, key_id)[-1]
        end = now_ms() + grace_ms
        keys[:] = [_with_end(key, end) if key.id == key_id else key for key in keys]
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
        raise OutsideError(f"{path}: cannot be read ({problem.strerror}).") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{path}: is no file of API keys. Bring it back from a backup, or delete it and make "
            "new keys with `hotlead keys add`."
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


def _with_end(key: Key, end: int) -> Key:
    return replace(key, expires_at=min(end, NEVER if key.expires_at is None else key.expires_at))


def _find_by_id(keys: Sequence[Key], key_id: str) -> list[Key]:
    matches = [key for key in keys if key.id == key_id]
    if not matches:
        hint = suggest_nearest(key_id, list(dict.fromkeys(key.id for key in keys)))
        raise DataError(f"id: there is no key {key_id!r}; {hint}. `hotlead keys list` shows all.")
    return matches


@contextmanager
def _edit_keys(path: Path) -> Iterator[list[Key]]:
    """The keys to change in place; written when the block ends well. One process at a time."""
    # The lock is a file of its own because `path` is replaced.
    with file_lock(path.with_name(f".{path.name}.lock")):
        keys = read_keys(path)
        yield keys
        moment_ms = now_ms()
        _write_keys(path, [key for key in keys if key.is_valid(moment_ms)])


def _write_keys(path: Path, keys: Sequence[Key]) -> None:
    text = json.dumps({"keys": [asdict(key) for key in keys]}, ensure_ascii=False, indent=1)
    with atomic_file(path) as part:
        write_private(part, f"{text}\n".encode())
