"""What `hotlead keys` does. A token goes to stdout, alone and this once; all words go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features.clock import days_to_ms, iso, now_ms
from features.errors import DataError, SettingsError
from serving.settings import ServiceSettings
from serving.web import api_keys as keys
from serving.web.api_keys import Key

HOUR_MS = 3_600_000
_HEADS = ("id", "role", "name", "created", "expires", "state")


def add(settings: ServiceSettings, role: str, name: str, days: float | None, as_json: bool) -> None:
    """Make a key that ends in `days`, or never. Raises as `keys.add`."""
    path = _keys_file(settings)
    end = None if days is None else now_ms() + days_to_ms(days)
    key, token = keys.add(path, role, name, end)
    _print_token(key, token, f"Made key {_describe_key(key)}, {_describe_expiry(key)}, in {path}.", as_json)


def rotate(settings: ServiceSettings, key_id: str, hours: float, as_json: bool) -> None:
    """Give a key a new token; the former one holds for `hours` more. Raises as `keys.rotate`."""
    path = _keys_file(settings)
    _check_in_force(path, key_id)
    grace = round(hours * HOUR_MS)
    key, token = keys.rotate(path, key_id, grace)
    former = f"holds until {iso(now_ms() + grace)} at the latest" if grace else "has ended"
    _print_token(key, token, f"Key {_describe_key(key)} has a new token; the former one {former}.", as_json)


def revoke(settings: ServiceSettings, key_id: str, as_json: bool) -> None:
    """End a key at once. Raises as `keys.revoke`."""
    key = keys.revoke(_keys_file(settings), key_id)
    if as_json:
        _print_json(revoked=key.id, role=key.role, name=key.name)
        return
    print(f"Key {_describe_key(key)} is revoked; a service that runs refuses it within two seconds.")


def show(settings: ServiceSettings, as_json: bool) -> None:
    """List all keys, of which nothing tells the token."""
    path = _keys_file(settings)
    all_keys = keys.read_keys(path)
    if as_json:
        _print_json(file=str(path), keys=[_to_dict(key, all_keys) for key in all_keys])
    elif all_keys:
        print(
            _format_table(
                [[_format_cell(value) for value in _to_dict(key, all_keys).values()] for key in all_keys]
            )
        )
    else:
        print(f"There is no key in {path}.\nNext:\n  hotlead keys add --role crm --name YOUR-CRM")


def _keys_file(settings: ServiceSettings) -> Path:
    """The file of keys. Raises SettingsError where a mistyped crm.toml would put it in a wrong place."""
    path, by_default = settings.keys_file, settings.out / "keys.json"
    if path == by_default and not path.exists() and not settings.crm.is_file():
        raise SettingsError(
            f"{settings.crm}: there is no such file, and beside it would be the keys. Name the crm.toml "
            "that is served, or set HOTLEAD_KEYS_FILE."
        )
    return path


def _check_in_force(path: Path, key_id: str) -> None:
    """A key that has ended cannot be brought back by a new token."""
    newest = next((key for key in reversed(keys.read_keys(path)) if key.id == key_id), None)
    if newest is not None and not newest.is_valid(now_ms()):
        raise DataError(
            f"Key {_describe_key(newest)} has ended: {_describe_expiry(newest)}. Make a new one with `hotlead keys add`."
        )


def _print_token(key: Key, token: str, message: str, as_json: bool) -> None:
    if as_json:
        _print_json(**_to_dict(key, [key]), token=token)
        return
    print(message, file=sys.stderr)
    print("Keep the token: it is shown this once, and only its digest is stored.", file=sys.stderr)
    print(token)


def _to_dict(key: Key, all_keys: Sequence[Key]) -> dict[str, Any]:
    newest = [candidate for candidate in all_keys if candidate.id == key.id][-1]
    state = "in force" if key is newest else "former token"
    return {
        "id": key.id,
        "role": key.role,
        "name": key.name,
        "created": iso(key.created_at),
        "expires": None if key.expires_at is None else iso(key.expires_at),
        "state": state if key.is_valid(now_ms()) else "ended",
    }


def _format_table(rows: Sequence[Sequence[str]]) -> str:
    lines = [_HEADS, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _format_cell(value: str | None) -> str:
    return "never" if value is None else value


def _describe_key(key: Key) -> str:
    return f"{key.id} ({key.role}, {key.name})"


def _describe_expiry(key: Key) -> str:
    return "without end" if key.expires_at is None else f"until {iso(key.expires_at)}"


def _print_json(**values: Any) -> None:
    print(json.dumps(values, ensure_ascii=False))
