"""`hotlead keys`. A new token is printed to stdout, alone and once; messages go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from features.clock import days_to_ms, iso, now_ms
from features.errors import DataError, SettingsError
from features.kinds import Language
from features.messages import Message, to_text
from serving.jobs.audit_log import record_command
from serving.settings import ServiceSettings
from serving.store.state.audit_log import AuditAction
from serving.web import api_keys
from serving.web.api_keys import Key

HOUR_MS = 3_600_000
_WIDTH = 200  # no column is wrapped or cut


def add(
    settings: ServiceSettings, role: str, name: str, days: float | None, as_json: bool, lang: Language = "en"
) -> None:
    """Add a key that expires in `days`, or never. Raises as `api_keys.add`."""
    path = _keys_file(settings)
    end = None if days is None else now_ms() + days_to_ms(days)
    key, token = api_keys.add(path, role, name, end)
    _note_change(settings, "key_added", key, lang)
    message = Message(
        "Made key {key}, {expiry}, in {path}.",
        key=_describe_key(key),
        expiry=_describe_expiry(key),
        path=path,
    )
    _print_token(key, token, message, as_json, lang)


def rotate(
    settings: ServiceSettings, key_id: str, hours: float, as_json: bool, lang: Language = "en"
) -> None:
    """Give a key a new token; the former one stays valid for `hours`. Raises as `api_keys.rotate`."""
    path = _keys_file(settings)
    _check_in_force(path, key_id)
    grace = round(hours * HOUR_MS)
    key, token = api_keys.rotate(path, key_id, grace)
    _note_change(settings, "key_rotated", key, lang, grace_hours=hours)
    message = Message(
        "Key {key} has a new token; the former one holds until {moment} at the latest."
        if grace
        else "Key {key} has a new token; the former one has ended.",
        key=_describe_key(key),
        moment=iso(now_ms() + grace),
    )
    _print_token(key, token, message, as_json, lang)


def revoke(settings: ServiceSettings, key_id: str, as_json: bool, lang: Language = "en") -> None:
    """Remove a key. Raises as `api_keys.revoke`."""
    key = api_keys.revoke(_keys_file(settings), key_id)
    _note_change(settings, "key_revoked", key, lang)
    if as_json:
        _print_json(revoked=key.id, role=key.role, name=key.name)
        return
    message = Message(
        "Key {key} is revoked; a service that runs refuses it within two seconds.", key=_describe_key(key)
    )
    print(message.text(lang))


def show(settings: ServiceSettings, as_json: bool, lang: Language = "en") -> None:
    """List all keys, without tokens."""
    path = _keys_file(settings)
    all_keys = api_keys.read_keys(path)
    if as_json:
        _print_json(file=str(path), keys=[_to_dict(key, all_keys) for key in all_keys])
    elif all_keys:
        table = _format_table([_to_dict(key, all_keys) for key in all_keys], lang)
        Console(width=_WIDTH).print(table)
    else:
        message = Message(
            "There is no key in {path}.\nNext:\n  hotlead keys add --role crm --name YOUR-CRM", path=path
        )
        print(message.text(lang))


def _keys_file(settings: ServiceSettings) -> Path:
    """The file of keys. Raises SettingsError when the crm.toml that it would be beside does not exist."""
    path, by_default = settings.keys_file, settings.out / "keys.json"
    if path == by_default and not path.exists() and not settings.crm.is_file():
        raise SettingsError(
            "{crm}: there is no such file, and beside it would be the keys. Name the crm.toml "
            "that is served, or set HOTLEAD_KEYS_FILE.",
            crm=settings.crm,
        )
    return path


def _check_in_force(path: Path, key_id: str) -> None:
    """Raise DataError for a key that has expired: a new token does not revive it."""
    newest = next((key for key in reversed(api_keys.read_keys(path)) if key.id == key_id), None)
    if newest is not None and not newest.is_valid(now_ms()):
        raise DataError(
            "Key {key} has ended: {expiry}. Make a new one with `hotlead keys add`.",
            key=_describe_key(newest),
            expiry=_describe_expiry(newest),
        )


def _note_change(
    settings: ServiceSettings, action: AuditAction, key: Key, lang: Language, **more: object
) -> None:
    """Note in the audit log whose key was changed; where that fails, say so on stderr."""
    detail = {"name": key.name, "role": key.role, "expires_at": key.expires_at, **more}
    warning = record_command(settings, action, key.id, detail)
    if warning is not None:
        print(warning.text(lang), file=sys.stderr)


def _print_token(key: Key, token: str, message: Message, as_json: bool, lang: Language) -> None:
    if as_json:
        _print_json(**_to_dict(key, [key]), token=token)
        return
    advice = Message("Keep the token: it is shown this once, and only its digest is stored.")
    print(message.text(lang), advice.text(lang), sep="\n", file=sys.stderr)
    print(token)


def _to_dict(key: Key, all_keys: Sequence[Key]) -> dict[str, str | None]:
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


_HEADERS = {
    "id": Message("id"),
    "role": Message("role"),
    "name": Message("name"),
    "created": Message("created"),
    "expires": Message("expires"),
    "state": Message("state"),
}
_STATES = {
    "in force": Message("in force"),
    "former token": Message("former token"),
    "ended": Message("ended"),
}


def _format_table(rows: Sequence[Mapping[str, str | None]], lang: Language) -> Table:
    headers = [_HEADERS[name].text(lang) for name in rows[0]]
    table = Table(*headers, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for row in rows:
        shown = {**row, "state": _STATES[str(row["state"])], "expires": row["expires"] or Message("never")}
        table.add_row(*(Text(to_text(value, lang)) for value in shown.values()))
    return table


def _describe_key(key: Key) -> str:
    return f"{key.id} ({key.role}, {key.name})"


def _describe_expiry(key: Key) -> Message:
    if key.expires_at is None:
        return Message("without end")
    return Message("until {moment}", moment=iso(key.expires_at))


def _print_json(**values: object) -> None:
    print(json.dumps(values, ensure_ascii=False))
