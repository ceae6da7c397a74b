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
from features.settings import CrmSettings
from scoring.decision.build_scorer import assemble
from scoring.decision.scorer import Fallback, Scorer
from scoring.model.bundle import Origin, load_bundle, pointer_stamp
from scoring.scorecard.load import SCORECARD_FILE, blank_card
from scoring.scorecard.scorecard import Scorecard

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int], tuple[int, int]]
AGAIN_SECONDS = 5.0
"""So soon a bundle that could not be used is tried again: what was wrong with it may have passed."""
_MAY_PASS = ("model_error", "bundle_damaged")


@dataclass(frozen=True)
class InUse:
    """What scores now: the scorer, and where its model comes from (None: the rules decide)."""

    scorer: Scorer
    origin: Origin | None


class Watch:
    """Keeps the scorer of the company up to its bundle and its scorecard.

    `in_use` is one reference, swapped whole: a request that has taken it is answered by it to its end.
    """

    def __init__(self, settings: CrmSettings, bundles: Path) -> None:
        self._settings, self._bundles = settings, bundles
        self._seen: Stamp | None = None
        self._try_again = 0.0
        self.in_use = InUse(Scorer(blank_card(), settings.table, None, "no_model"), None)

    def refresh(self) -> bool:
        """Look once, and swap the scorer where something changed. Never raises; says what it did."""
        stamp = self._stamp()
        if stamp == self._seen and time.monotonic() < self._try_again:
            return False
        before = self.in_use
        try:
            self.in_use = self._made()
        except Exception as problem:  # whatever it is, the rules answer
            log.error("The model cannot be used; the rules decide", exc_info=problem)
            self.in_use = self._by_rules("model_error")
        failed = self.in_use.scorer.fallback in _MAY_PASS
        self._seen, self._try_again = stamp, time.monotonic() + AGAIN_SECONDS if failed else inf
        _settle()
        if _shown(before) != _shown(self.in_use):
            log.info("In use", extra=_shown(self.in_use))
        return True

    def _stamp(self) -> Stamp:
        """Changes whenever the pointer to the bundle or the scorecard is written."""
        try:
            card = (self._settings.folder / SCORECARD_FILE).stat()
        except OSError:
            return pointer_stamp(self._bundles), (0, 0)
        return pointer_stamp(self._bundles), (card.st_mtime_ns, card.st_ino)

    def _made(self) -> InUse:
        try:
            bundle = load_bundle(self._bundles)
            if bundle is not None:
                bundle.evidence.check_some()
        except DataError as problem:
            log.error("The bundle is damaged; the rules decide", extra={"why": str(problem)})
            return self._by_rules("bundle_damaged")
        if bundle is None:
            return self._by_rules("no_model")
        scorer = assemble(self._settings, bundle, None, log.warning, self._last_good)
        _warm(scorer)
        return InUse(scorer, None if scorer.judge is None else bundle.origin)

    def _by_rules(self, fallback: Fallback) -> InUse:
        try:
            scorer = assemble(self._settings, None, fallback, log.warning, self._last_good)
            return InUse(scorer, None)
        except HotleadError as problem:
            log.error("The last good scorecard goes on", extra={"why": str(problem)})
            return InUse(Scorer(self.in_use.scorer.card, self._settings.table, None, fallback), None)

    @property
    def _last_good(self) -> Scorecard | None:
        """The scorecard that was in use; None before there was one."""
        card = self.in_use.scorer.card
        return card if self._seen is not None and card.rows else None


def _shown(used: InUse) -> dict[str, str | None]:
    return {
        "model": None if used.origin is None else used.origin.version,
        "fallback": used.scorer.fallback,
        "scorecard": used.scorer.card.version,
    }


def _warm(scorer: Scorer) -> None:
    """Score a lead of whom nothing is known, so that the first request finds all made."""
    values: list[float | str | None] = [
        None if name in scorer.table.texts else float("nan") for name in scorer.table.names
    ]
    scorer.one("", values, now_ms(), {}).score(0, "en", now_ms(), "top")


def _settle() -> None:
    """Keep what is loaded out of the garbage collector's sight: looking through it stalls requests."""
    gc.collect()
    gc.freeze()
