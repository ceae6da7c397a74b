"""The scorer in use: swapped whole when the bundle or the scorecard changes, good through every fault."""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path

from features.clock import now_ms
from features.errors import DataError, HotleadError
from features.files import FileVersion, file_version
from features.settings import CrmSettings
from scoring.decision.build_scorer import build_scorer
from scoring.decision.scorer import Fallback, Scorer
from scoring.model.bundle import Origin, load_bundle, pointer_stamp
from scoring.scorecard.load import SCORECARD_FILE, blank_card
from scoring.scorecard.scorecard import Scorecard

log = logging.getLogger(__name__)

Stamp = tuple[FileVersion | None, FileVersion | None]
RETRY_SECONDS = 5.0
"""So soon a bundle that could not be used is tried again: what was wrong with it may have passed."""
_TRANSIENT = ("model_error", "bundle_damaged")


@dataclass(frozen=True)
class LiveModel:
    """What scores now: the scorer, and where its model comes from (None: the rules decide)."""

    scorer: Scorer
    origin: Origin | None


class ModelWatcher:
    """Keeps the scorer of the company up to its bundle and its scorecard.

    `in_use` is one reference, swapped whole: a request that has taken it is answered by it to its end.
    """

    def __init__(self, settings: CrmSettings, bundles: Path) -> None:
        self._settings, self._bundles = settings, bundles
        self._last_stamp: Stamp | None = None
        self._retry_at = 0.0
        self.live_model = LiveModel(Scorer(blank_card(), settings.table, None, "no_model"), None)

    def refresh(self) -> bool:
        """Look once, and swap the scorer where something changed. Never raises; says what it did."""
        stamp = self._stamp()
        if stamp == self._last_stamp and time.monotonic() < self._retry_at:
            return False
        before = self.live_model
        try:
            self.live_model = self._load()
        except Exception as problem:  # whatever it is, the rules answer
            log.error("The model cannot be used; the rules decide", exc_info=problem)
            self.live_model = self._fall_back_to_rules("model_error")
        failed = self.live_model.scorer.fallback in _TRANSIENT
        self._last_stamp, self._retry_at = stamp, time.monotonic() + RETRY_SECONDS if failed else inf
        _freeze_gc()
        if _log_fields(before) != _log_fields(self.live_model):
            log.info("In use", extra=_log_fields(self.live_model))
        return True

    def _stamp(self) -> Stamp:
        """Changes whenever the pointer to the bundle or the scorecard is written."""
        try:
            card = file_version(self._settings.folder / SCORECARD_FILE)
        except OSError:
            card = None
        return pointer_stamp(self._bundles), card

    def _load(self) -> LiveModel:
        try:
            bundle = load_bundle(self._bundles)
            if bundle is not None:
                bundle.evidence.check_not_empty()
        except DataError as problem:
            log.error("The bundle is damaged; the rules decide", extra={"why": str(problem)})
            return self._fall_back_to_rules("bundle_damaged")
        if bundle is None:
            return self._fall_back_to_rules("no_model")
        scorer = build_scorer(self._settings, bundle, None, log.warning, self._last_good)
        _warm_up(scorer)
        return LiveModel(scorer, None if scorer.calibrated_model is None else bundle.origin)

    def _fall_back_to_rules(self, fallback: Fallback) -> LiveModel:
        try:
            scorer = build_scorer(self._settings, None, fallback, log.warning, self._last_good)
            return LiveModel(scorer, None)
        except HotleadError as problem:
            log.error("The last good scorecard goes on", extra={"why": str(problem)})
            return LiveModel(Scorer(self.live_model.scorer.card, self._settings.table, None, fallback), None)

    @property
    def _last_good(self) -> Scorecard | None:
        """The scorecard that was in use; None before there was one."""
        card = self.live_model.scorer.card
        return card if self._last_stamp is not None and card.rows else None


def _log_fields(live_model: LiveModel) -> dict[str, str | None]:
    return {
        "model": None if live_model.origin is None else live_model.origin.version,
        "fallback": live_model.scorer.fallback,
        "scorecard": live_model.scorer.card.version,
    }


def _warm_up(scorer: Scorer) -> None:
    """Score a lead of whom nothing is known, so that the first request finds all made."""
    values: list[float | str | None] = [
        None if name in scorer.table.texts else float("nan") for name in scorer.table.names
    ]
    scorer.score_one("", values, now_ms(), {}).score(0, "en", now_ms(), "top")


def _freeze_gc() -> None:
    """Keep what is loaded out of the garbage collector's sight: looking through it stalls requests."""
    gc.collect()
    gc.freeze()
