"""The live model: replaced as a whole when the bundle or the scorecard changes, and robust against faults."""

from __future__ import annotations

import gc
import logging
import time
from contextlib import suppress
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
from scoring.scorecard.office_hours import compute_deadline
from scoring.scorecard.scorecard import Scorecard

log = logging.getLogger(__name__)

Stamp = tuple[FileVersion | None, FileVersion | None]
RETRY_SECONDS = 5.0
"""The seconds after which a bundle that failed is tried again: the fault may have passed."""
_TRANSIENT = ("model_error", "bundle_damaged")


@dataclass(frozen=True)
class LiveModel:
    """The scorer, and the origin of its model (None: the rules decide)."""

    scorer: Scorer
    origin: Origin | None


class ModelWatcher:
    """Follows the bundle and the scorecard of the company.

    `live_model` is one reference, replaced as a whole: a request that has read it uses it to its end.
    """

    def __init__(self, settings: CrmSettings, bundles: Path) -> None:
        self._settings, self._bundles = settings, bundles
        self._last_stamp: Stamp | None = None
        self._retry_at = 0.0
        self.live_model = LiveModel(Scorer(blank_card(), settings.table, None, "no_model"), None)

    def refresh(self) -> bool:
        """Replace the live model if something changed; whether it did. Never raises."""
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
            _warm_up(scorer)
            return LiveModel(scorer, None)
        except HotleadError as problem:
            log.error("The last good scorecard goes on", extra={"why": str(problem)})
            return LiveModel(Scorer(self.live_model.scorer.card, self._settings.table, None, fallback), None)

    @property
    def _last_good(self) -> Scorecard | None:
        """The last scorecard that loaded; None before the first."""
        card = self.live_model.scorer.card
        return card if self._last_stamp is not None and card.rows else None


def _log_fields(live_model: LiveModel) -> dict[str, str | None]:
    return {
        "model": None if live_model.origin is None else live_model.origin.version,
        "fallback": live_model.scorer.fallback,
        "scorecard": live_model.scorer.card.version,
    }


def _warm_up(scorer: Scorer) -> None:
    """Score a lead without any values, so that the first request does not pay for what is computed once."""
    values: list[float | str | None] = [
        None if name in scorer.table.texts else float("nan") for name in scorer.table.names
    ]
    scorer.score_one("", values, now_ms(), {}).score(0, "en", now_ms(), "top")
    with suppress(ValueError):  # an office that never opens: the scores say so
        compute_deadline(now_ms(), 0, scorer.card.hours)  # loads the holidays


def _freeze_gc() -> None:
    """Exempt what is loaded from garbage collection, which would stall requests."""
    gc.collect()
    gc.freeze()
