"""`hotlead prune`: deletes the predictions that are older than the retention, once a person has confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from features.clock import iso
from features.errors import OutsideError
from features.messages import Message
from serving.settings import ServiceSettings
from serving.store.errors import StoreUnavailable
from serving.store.state.known_store import check_store, has_store, open_store, unavailable_store
from serving.store.state.retention import count_before, find_due
from serving.store.store import Store


@dataclass(frozen=True)
class OldPredictions:
    """Predictions made before a moment: how many, and when the oldest was made. Times are ms UTC."""

    before: int
    count: int
    oldest: int

    def question(self, settings: ServiceSettings) -> Message:
        """The question that a person answers before they are deleted."""
        return Message(
            "Delete {count:,} predictions from {oldest} to {before} from {store}? They are older than "
            "HOTLEAD_RETENTION_DAYS ({days}), counted from the newest prediction. Present scores stay.",
            count=self.count,
            oldest=iso(self.oldest),
            before=iso(self.before),
            store=settings.shown_store,
            days=settings.retention_days,
        )


@dataclass(frozen=True)
class PruneResult:
    """How many predictions were deleted, and the moment (ms UTC) before which they were made (None: none)."""

    deleted: int
    before: int | None

    def to_dict(self) -> dict[str, object]:
        return {"deleted": self.deleted, "before": None if self.before is None else iso(self.before)}

    def line(self) -> Message:
        if self.before is None:
            return Message("No prediction is older than the retention: nothing was deleted.")
        return Message(
            "Deleted {count:,} predictions made before {before}.", count=self.deleted, before=iso(self.before)
        )


def find_old_predictions(settings: ServiceSettings, now: int) -> OldPredictions | None:
    """The predictions that are older than the retention at `now` (ms UTC); None when there are none.

    Raises OutsideError when there is no store or it is unavailable.
    """
    with _open_store(settings) as store:
        due = store.read(partial(find_due, now=now, days=settings.retention_days))
        count, oldest = (0, None) if due is None else store.read(partial(count_before, before=due))
    return None if due is None or oldest is None else OldPredictions(due, count, oldest)


def prune_predictions(settings: ServiceSettings, old: OldPredictions) -> PruneResult:
    """Delete old predictions. Raises OutsideError; what is deleted until then stays deleted."""
    with _open_store(settings) as store:
        return PruneResult(store.prune(old.before), old.before)


@contextmanager
def _open_store(settings: ServiceSettings) -> Iterator[Store]:
    check_store(settings)
    if not has_store(settings):
        raise OutsideError("There is no store at {url}.", url=settings.shown_store)
    store = open_store(settings)
    try:
        yield store
    except StoreUnavailable as problem:
        raise unavailable_store(settings, problem) from None
    finally:
        store.close()
