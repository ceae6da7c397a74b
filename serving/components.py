"""Everything a worker process holds, built once at its start and closed at its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import chain, repeat

from features.clock import iso, now_ms, to_ms
from features.settings import load_settings
from serving.leads.field_types import AttributeSchema
from serving.leads.intake import RecordIntake
from serving.leads.mirrors import OverrideMirror
from serving.observability.json_logging import configure, quiet_lightgbm
from serving.observability.limited_log import LimitedLog
from serving.observability.prometheus import Metrics
from serving.predictions.live_model import ModelWatcher
from serving.predictions.predictor import Predictor
from serving.settings import ServiceSettings
from serving.store.state.known_store import store_marker
from serving.store.state.retention import MAX_OVERDUE_DAYS
from serving.store.store import Store, StoreUnavailable
from serving.web.api_keys import KeyCache
from serving.web.authentication import Authenticator, RateLimiter
from serving.web.failed_sign_ins import FailedSignIns
from serving.web.permissions import ROUTES

REFRESH_SECONDS, FIRST_PRUNE_SECONDS, PRUNE_SECONDS = 0.5, 60.0, 3600.0

log = logging.getLogger(__name__)


class Components:
    """The objects that requests are answered with. `run_maintenance` runs for as long as they are open."""

    def __init__(self, settings: ServiceSettings, clock: Callable[[], int] = now_ms) -> None:
        """Build all components; `clock` returns ms UTC.

        A missing or broken store, model or scorecard is no error. Raises SettingsError when crm.toml or the
        store's URL is invalid.
        """
        configure(settings.log_level)
        self.settings, self.clock, self.crm = settings, clock, load_settings(settings.crm)
        self._limited_log = LimitedLog(log)
        self.schema = AttributeSchema.from_settings(self.crm)
        self.metrics = Metrics(ROUTES, clock)
        self.model_watcher = ModelWatcher(self.crm, settings.bundles)
        self.store = Store.open(
            settings.store_url,
            settings.spool,
            marker=store_marker(settings),
            key_file=settings.pseudonym_key_file,
        )
        self.overrides = OverrideMirror(self.store)
        self.predictor = Predictor(self.schema, self.model_watcher, self.store, self.overrides, self.metrics)
        self.intake = RecordIntake(self.schema, self.store, self.overrides, self.metrics)
        self.key_cache = KeyCache(settings.keys_file)
        self.rate_limiter = RateLimiter(settings.rate_limit)
        failed_sign_ins = FailedSignIns(self.metrics)
        self.authenticator = Authenticator(
            self.key_cache, self.rate_limiter, failed_sign_ins, settings.open_on_loopback
        )
        self.refresh()
        quiet_lightgbm()

    def refresh(self) -> None:
        """Pick up changes of the bundle, the scorecard, the overrides and the store's state."""
        if self.model_watcher.refresh():
            self._report_model()
        with suppress(StoreUnavailable):
            self.overrides.refresh()
        self.metrics.set_store_state(
            self.store.queue_rows(), self.store.is_unavailable, self.store.log_bytes()
        )

    async def run_maintenance(self) -> None:
        """Refresh every half second and look hourly for what is older than the retention, until cancelled."""
        for seconds in chain([FIRST_PRUNE_SECONDS], repeat(PRUNE_SECONDS)):
            for _ in range(round(seconds / REFRESH_SECONDS)):
                await asyncio.sleep(REFRESH_SECONDS)
                await self._log_errors(self.refresh)
            await self._log_errors(self._prune)

    async def _log_errors(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread and log its errors, so that one failure does not end the maintenance."""
        try:
            await asyncio.to_thread(work)
        except Exception as problem:
            self._limited_log.error("Maintenance failed; it continues", exc_info=problem)

    def close(self) -> None:
        self.store.close()

    def _prune(self) -> None:
        days = self.settings.retention_days
        with suppress(StoreUnavailable):
            plan = self.store.apply_retention(self.clock(), days)
            self.metrics.set_retention_unconfirmed(plan.unconfirmed_before is not None)
            if plan.unconfirmed_before is not None and plan.oldest is not None:
                log.warning(
                    "Old predictions wait to be deleted: those of more than %d days are older than "
                    "HOTLEAD_RETENTION_DAYS (%d). Check the clock of this machine, then confirm with "
                    "`hotlead prune`",
                    MAX_OVERDUE_DAYS,
                    days,
                    extra={"before": iso(plan.unconfirmed_before), "oldest": iso(plan.oldest)},
                )

    def _report_model(self) -> None:
        live_model = self.model_watcher.live_model
        if live_model.origin is None or live_model.scorer.calibrated_model is None:
            self.metrics.set_model(None)
            return
        trained = live_model.scorer.calibrated_model.model.about.get("trained_through")
        trained_at = to_ms(datetime.fromisoformat(trained)) if trained else None
        self.metrics.set_model(live_model.origin.version, trained_at, live_model.origin.since)
