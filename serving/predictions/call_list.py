"""The call list, page by page: hot leads without a "not hot" override, first deadline first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Select, select
from sqlalchemy.engine import Connection

from features.clock import NEVER
from scoring.decision.actions import FOLLOW_UP
from serving.leads.mirrors import OverrideMirror
from serving.store.queries import call_list_start, is_to_call
from serving.store.records import HotRow, ListCursor
from serving.store.store import Store
from serving.store.tables import current_scores

CURSOR = r"^[0-9]{1,19}\.[0-9]{1,3}\.([0-9a-f]{2}){1,800}$"
"""The form of a place in the list as it is handed out."""
_OVERFETCH = 100
"""This many more leads are read at once, in place of those with a "not hot" override."""


@dataclass(frozen=True)
class CallListPage:
    """A page of the list: its `rows`, how many leads of each owner the whole list has, and where the
    next page begins (None: this is the last)."""

    rows: list[HotRow]
    owners: Mapping[str, int]
    next: str | None


def is_overdue(row: HotRow, now: int) -> bool:
    """Whether a lead's deadline is past at `now` (ms UTC) and nothing met it.

    A contact since the lead is hot meets it, unless sales accepted the lead and set the date of the next
    action themselves. The overview counts by the same rule in SQL; a test holds the two equal.
    """
    is_past = row.deadline is not None and row.deadline < now
    return is_past and (row.action == FOLLOW_UP or row.first_contact_at is None)


def read_call_list(
    store: Store, overrides: OverrideMirror, owner: str | None, limit: int, now: int, after: str | None
) -> CallListPage:
    """The page of `limit` leads `after` a place; of one owner or all. Raises StoreUnavailable."""
    rows = _read_rows(
        store, overrides, owner, limit + 1, now, None if after is None else _parse_cursor(after)
    )
    last = rows[limit - 1] if len(rows) > limit else None
    owners = store.read(lambda connection: _count_by_owner(connection, overrides.not_hot_ids(now), now))
    return CallListPage(rows[:limit], owners, None if last is None else _format_cursor(last.cursor))


def _read_rows(
    store: Store, overrides: OverrideMirror, owner: str | None, limit: int, now: int, place: ListCursor | None
) -> list[HotRow]:
    """The first rows after a place, without the leads that have a "not hot" override."""
    rows: list[HotRow] = []
    while len(rows) < limit:
        candidates = store.call_list(owner, limit + _OVERFETCH, now, place)
        verdicts = overrides.get_many((row.lead_id for row in candidates), now)
        rows += [row for row in candidates if row.lead_id not in verdicts or verdicts[row.lead_id].hot]
        if len(candidates) < limit + _OVERFETCH:
            break
        place = candidates[-1].cursor
    return rows[:limit]


def _count_by_owner(connection: Connection, not_hot_ids: Iterable[str], now: int) -> dict[str, int]:
    """The number of leads of each owner, without `not_hot_ids`.

    All are read and filtered here: excluding the ids in SQL, some at a time, takes ten times as long.
    """
    not_hot = set(not_hot_ids)
    rows = connection.execute(_select_owners(), {"active_after": call_list_start(now)})
    counts = Counter(owner for owner, lead_id in rows if lead_id not in not_hot)
    return dict(sorted(counts.items()))


@cache
def _select_owners() -> Select[str, str]:
    return select(current_scores.c.owner, current_scores.c.lead_id).where(is_to_call())


def _format_cursor(place: ListCursor) -> str:
    return f"{place.due}.{place.score}.{place.lead_id.encode().hex()}"


def _parse_cursor(cursor: str) -> ListCursor:
    """The place that a cursor names; whatever has the form of one is one."""
    due, score, lead_id = cursor.split(".")
    # NUL: no database takes it, and no id has it.
    parsed_id = bytes.fromhex(lead_id).decode(errors="replace").replace("\x00", "")
    return ListCursor(min(int(due), NEVER), int(score), parsed_id)
