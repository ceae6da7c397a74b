"""What waits for the writer, and who waits for what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from serving.store.deduplicate import Entry
from serving.store.records import Kept, Outcome, Prediction

T = TypeVar("T")


@dataclass(slots=True)
class Waiting(Generic[T]):
    """Something to write, and who waits for what becomes of it."""

    future: Future[T]

    @property
    def rows(self) -> int:
        return 0

    def settle(self, told: T) -> None:
        """Tell what became of it, unless that was told: closing does not wait for a slow writer."""
        with suppress(InvalidStateError):
            self.future.set_result(told)

    def fail(self, problem: Exception) -> None:
        """Tell why nothing became of it, unless something was told."""
        with suppress(InvalidStateError):
            self.future.set_exception(copy(problem))


@dataclass(slots=True)
class Accepting(Waiting[list[Outcome]]):
    """Records: on the disk before the future is done."""

    entries: Sequence[Entry]

    @property
    def rows(self) -> int:
        return len(self.entries)


@dataclass(slots=True)
class Remembering(Waiting[Kept]):
    """Predictions."""

    predictions: Sequence[Prediction]

    @property
    def rows(self) -> int:
        return len(self.predictions)

    def fail(self, problem: Exception) -> None:
        self.settle("not_stored")


@dataclass(slots=True)
class Task(Waiting[Any]):
    """Other work on the database, between two groups. It may use Writer.transact."""

    work: Callable[[], Any]
