"""The call list, page by page: hot leads that nobody called off, first deadline first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.engine import Connection

from features.clock import NEVER
from serving.leads.overrides import Said
from serving.store.queries import to_call
from serving.store.rows import HotRow, Place
from serving.store.store import Store
from serving.store.tables import current_scores

CURSOR = r"^[0-9]{1,19}\.[0-9]{1,3}\.([0-9a-f]{2}){1,800}$"
"""The form of a place in the list as it is handed out."""
_SPARE = 100
"""So many leads more are read at once, for those that people called off."""


@dataclass(frozen=True)
class Calls:
    """A page of the list: its `rows`, how many leads of each owner the whole list has, and where the
    next page begins (None: this is the last)."""

    rows: list[HotRow]
    owners: Mapping[str, int]
    next: str | None


def calls(store: Store, said: Said, owner: str | None, limit: int, now: int, after: str | None) -> Calls:
    """The page of `limit` leads `after` a place; of one owner or all. Raises StoreAway."""
    rows = _rows(store, said, owner, limit + 1, now, None if after is None else _place(after))
    last = rows[limit - 1] if len(rows) > limit else None
    owners = store.see(lambda at: _owners(at, said.cooled(now)))
    return Calls(rows[:limit], owners, None if last is None else _cursor(last.place))


def _rows(
    store: Store, said: Said, owner: str | None, most: int, now: int, place: Place | None
) -> list[HotRow]:
    """The first rows after a place, without the leads that a person named not hot since."""
    rows: list[HotRow] = []
    while len(rows) < most:
        found = store.hot(owner, most + _SPARE, now, place)
        verdicts = said.among((row.lead_id for row in found), now)
        rows += [row for row in found if row.lead_id not in verdicts or verdicts[row.lead_id].hot]
        if len(found) < most + _SPARE:
            break
        place = found[-1].place
    return rows[:most]


def _owners(connection: Connection, cooled: Iterable[str]) -> dict[str, int]:
    """How many leads each owner has to call; `cooled` are not to be.

    All of them are read: to look up those that were called off, some at a time, takes ten times as long.
    """
    called_off = set(cooled)
    told = connection.execute(_owned())
    counts = Counter(owner for owner, lead_id in told if lead_id not in called_off)
    return dict(sorted(counts.items()))


@cache
def _owned() -> Select[Any]:
    return select(current_scores.c.owner, current_scores.c.lead_id).where(to_call())


def _cursor(place: Place) -> str:
    return f"{place.due}.{place.score}.{place.lead_id.encode().hex()}"


def _place(cursor: str) -> Place:
    """The place that a cursor names; whatever has the form of one is one."""
    due, score, lead_id = cursor.split(".")
    # NUL: no database takes it, and no id has it.
    told = bytes.fromhex(lead_id).decode(errors="replace").replace("\x00", "")
    return Place(min(int(due), NEVER), int(score), told)
