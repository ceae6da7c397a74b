"""What waits for the writer, and who waits for what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from serving.store.deduplicate import Entry
from serving.store.records import Prediction, StoredState, WriteOutcome

T = TypeVar("T")


@dataclass(slots=True)
class WriteJob(Generic[T]):
    """Something to write, and who waits for what becomes of it."""

    future: Future[T]

    @property
    def rows(self) -> int:
        return 0

    def settle(self, result: T) -> None:
        """Tell what became of it, unless that was told: closing does not wait for a slow writer."""
        with suppress(InvalidStateError):
            self.future.set_result(result)

    def fail(self, problem: Exception) -> None:
        """Tell why nothing became of it, unless something was told."""
        with suppress(InvalidStateError):
            self.future.set_exception(copy(problem))


@dataclass(slots=True)
class RecordsJob(WriteJob[list[WriteOutcome]]):
    """Records: on the disk before the future is done."""

    entries: Sequence[Entry]

    @property
    def rows(self) -> int:
        return len(self.entries)


@dataclass(slots=True)
class PredictionsJob(WriteJob[StoredState]):
    """Predictions."""

    predictions: Sequence[Prediction]

    @property
    def rows(self) -> int:
        return len(self.predictions)

    def fail(self, problem: Exception) -> None:
        self.settle("not_stored")


@dataclass(slots=True)
class CallableJob(WriteJob[Any]):
    """Other work on the database, between two groups. It may use Writer.transact."""

    work: Callable[[], Any]
