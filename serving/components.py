"""All parts of a service process, made once at its door and let go of at its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, repeat
from typing import Any

from features.clock import days_to_ms, now_ms, to_ms
from features.settings import CrmSettings, load_settings
from serving.leads.intake import Intake
from serving.leads.overrides import Said
from serving.observability import json_logging as logs
from serving.observability.prometheus import Metrics
from serving.predictions.live_model import Watch
from serving.predictions.predictor import Desk
from serving.settings import ServiceSettings
from serving.store.store import Store, StoreAway
from serving.web.key_cache import Keyring
from serving.web.rate_limit import Limits

LOOK_EVERY_SECONDS, PRUNE_FIRST_SECONDS, PRUNE_EVERY_SECONDS = 0.5, 60.0, 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class House:
    """The parts; `keep_house` runs beside them."""

    settings: ServiceSettings
    crm: CrmSettings
    store: Store
    watch: Watch
    said: Said
    metrics: Metrics
    desk: Desk
    intake: Intake
    keyring: Keyring
    limits: Limits

    @staticmethod
    def open(settings: ServiceSettings, clock: Callable[[], int] = now_ms) -> House:
        """Everything, ready to answer. A store, a model or a scorecard that is away or broken is no
        error; raises SettingsError for a crm.toml or a store's URL that does not hold."""
        logs.configure(settings.log_level)
        crm = load_settings(settings.crm)
        metrics, watch = Metrics(clock), Watch(crm, settings.bundles)
        store = Store.open(settings.store_url, settings.spool)
        said = Said(store)
        house = House(
            settings,
            crm,
            store,
            watch,
            said,
            metrics,
            Desk(crm, watch, store, said, metrics, clock),
            Intake(crm, store, said, metrics, clock),
            Keyring(settings.keys_file),
            Limits(settings.rate_limit),
        )
        house.look()
        logs.quiet_lightgbm()
        return house

    def look(self) -> None:
        """See what changed: the bundle, the scorecard, what people said, the store's state."""
        if self.watch.refresh():
            self._tell_model()
        with suppress(StoreAway):
            self.said.refresh()
        self.metrics.store(self.store.queue_rows(), self.store.away)

    async def keep_house(self) -> None:
        """Look every half second, and delete what is older than the settings say, until cancelled."""
        for seconds in chain([PRUNE_FIRST_SECONDS], repeat(PRUNE_EVERY_SECONDS)):
            for _ in range(round(seconds / LOOK_EVERY_SECONDS)):
                await asyncio.sleep(LOOK_EVERY_SECONDS)
                await _unharmed(self.look)
            await _unharmed(self._prune)

    def close(self) -> None:
        """Write what waits, and let go of everything."""
        self.store.close()

    def _prune(self) -> None:
        with suppress(StoreAway):
            self.store.prune(self.desk.clock() - days_to_ms(self.settings.retention_days))

    def _tell_model(self) -> None:
        used = self.watch.in_use
        if used.origin is None or used.scorer.judge is None:
            self.metrics.model(None)
            return
        trained = used.scorer.judge.model.about.get("trained_through")
        trained_at = to_ms(datetime.fromisoformat(trained)) if trained else None
        self.metrics.model(used.origin.version, trained_at, used.origin.since)


async def _unharmed(work: Callable[[], Any]) -> None:
    """Do something beside the loop; whatever goes wrong is told, and the next round comes."""
    try:
        await asyncio.to_thread(work)
    except Exception as problem:
        log.error("Keeping house failed; it goes on", exc_info=problem)
