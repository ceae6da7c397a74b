"""The service's metrics for Prometheus. No label ever contains an id."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from features.clock import now_ms

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_UNKNOWN_LABEL = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The metrics of one app.

    `routes` are the values of the label `route`; all others become "other". `now` returns ms UTC. Several
    processes share their metrics through the folder PROMETHEUS_MULTIPROC_DIR if it is set before
    prometheus_client is imported.
    """

    def __init__(self, routes: Collection[str] = (), now: Callable[[], int] = now_ms) -> None:
        self._routes, self._now = frozenset(routes), now
        self._registry = CollectorRegistry()
        self._version: str | None = None
        self._trained_at: int | None = None
        self._bundle_at: int | None = None
        self._requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._scores: dict[tuple[str, str], Counter] = {}

        def counter(name: str, description: str, *labels: str) -> Counter:
            return Counter(f"hotlead_{name}", description, labels, registry=self._registry)

        self._scored = counter("scores", "Scores given.", "decided_by", "stage")
        self._fell_back = counter("fallbacks", "Scores by the rules alone, and why.", "cause")
        self._suppressed = counter("suppressed_scores", "Scores of erased leads, which are not stored.")
        self._request_counter = counter("requests", "Requests answered.", "route", "method", "status")
        self._recorded = counter("records", "Records sent to be kept.", "kind", "outcome")
        self._failed_sign_ins = counter(
            "failed_sign_ins", "Wrong keys sent to the API or the sign-in page.", "door"
        )
        self._request_seconds = Histogram(
            "hotlead_request_seconds",
            "How long an answer took.",
            ["route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._info = self._gauge(
            "model_info", "1: the model in use; 0: an earlier one.", "livemax", "version"
        )
        # All workers use the same bundle; the worker that renders sets its age.
        self._trained_age = self._gauge(
            "model_trained_age_seconds",
            "Since the newest deal that the model in use was trained on.",
            "livemostrecent",
        )
        self._bundle_age = self._gauge(
            "bundle_age_seconds", "Since the model's bundle was written.", "livemostrecent"
        )
        self._queue = self._gauge("queue_rows", "Rows that wait for the store.", "livemax")
        self._store_unavailable = self._gauge("store_away", "1: the store cannot be reached.", "livemax")
        self._log_bytes = self._gauge("store_log_bytes", "The size of SQLite's write-ahead log.", "livemax")
        self._retention_unconfirmed = self._gauge(
            "retention_unconfirmed", "1: old predictions wait until a person confirms.", "livemostrecent"
        )

    def _gauge(self, name: str, description: str, mode: str, *labels: str) -> Gauge:
        return Gauge(
            f"hotlead_{name}",
            description,
            labels,
            registry=self._registry,
            multiprocess_mode=mode,  # type: ignore[arg-type]
        )

    def count_scores(self, decided_by: str, stage: str, cause: str | None = None, count: int = 1) -> None:
        """Count scores by the side that decided, the stage and, if the model could not answer, the cause."""
        counter = self._scores.get((decided_by, stage))
        if counter is None:
            counter = self._scores[decided_by, stage] = self._scored.labels(decided_by, stage)
        counter.inc(count)
        if cause:
            self._fell_back.labels(cause).inc(count)

    def count_suppressed_scores(self, count: int) -> None:
        """Count scores of erased leads, which are given and not stored."""
        self._suppressed.inc(count)

    def count_records(self, kind: str, outcome: str, count: int = 1) -> None:
        """Count records of a kind that were stored, known already, in conflict or of an erased lead."""
        self._recorded.labels(kind, outcome).inc(count)

    def count_failed_sign_in(self, door: str) -> None:
        """Count a wrong key that was sent to the API ("api") or to the sign-in page ("page")."""
        self._failed_sign_ins.labels(door).inc()

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Record a request. An unknown route or method counts as "other"."""
        metrics = self._requests.get((route, method, status))
        if metrics is None:
            metrics = self._request_metrics(route, method, status)
        metrics[0].inc()
        metrics[1].observe(seconds)

    def _request_metrics(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        route_label = route if route in self._routes else _UNKNOWN_LABEL
        method_label = method if method in _METHODS else _UNKNOWN_LABEL
        metrics = (
            self._request_counter.labels(route_label, method_label, str(status)),
            self._request_seconds.labels(route_label),
        )
        if (route_label, method_label) == (route, method):  # never cache what a client makes up
            self._requests[route, method, status] = metrics
        return metrics

    def set_model(
        self, version: str | None, trained_at: int | None = None, bundle_at: int | None = None
    ) -> None:
        """Set the model in use (None: none), and when its data end and its bundle was written (ms UTC)."""
        if self._version is not None and self._version != version:
            self._info.labels(self._version).set(0)
        if version is not None:
            self._info.labels(version).set(1)
        self._version, self._trained_at, self._bundle_at = version, trained_at, bundle_at

    def set_store_state(self, queue_rows: int, is_unavailable: bool, log_bytes: int = 0) -> None:
        """Set whether the store is unavailable, how many rows wait for it, the shared queue included, and the
        size of its write-ahead log."""
        self._log_bytes.set(log_bytes)
        self._queue.set(queue_rows)
        self._store_unavailable.set(int(is_unavailable))

    def set_retention_unconfirmed(self, is_unconfirmed: bool) -> None:
        """Set whether so many old predictions wait that a person has to confirm their deletion."""
        self._retention_unconfirmed.set(int(is_unconfirmed))

    def render(self) -> tuple[bytes, str]:
        """The metrics of all processes as text, and its content type."""
        for gauge, time_ms in ((self._trained_age, self._trained_at), (self._bundle_age, self._bundle_at)):
            gauge.set(math.nan if time_ms is None else max(0.0, (self._now() - time_ms) / 1000))
        folder = os.environ.get(_FOLDER)
        if not folder:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        _remove_dead_processes(Path(folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST


def _remove_dead_processes(folder: Path) -> None:
    """Remove the gauges of processes that have ended; a killed process cannot do so itself."""
    for process in {int(f.stem.rpartition("_")[2]) for f in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            pass  # it runs as another user
