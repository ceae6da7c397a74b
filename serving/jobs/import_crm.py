"""`hotlead import`: what a CRM's export tells goes into the store, and its open leads get their scores."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import orjson

from features.clock import now_ms
from features.kinds import Language
from features.settings import CrmSettings
from scoring.scorecard.scorecard import STAGES
from scoring.texts import say
from serving.jobs.crm_records import Export, import_export
from serving.leads.overrides import Said
from serving.observability.prometheus import Metrics
from serving.predictions.live_model import Watch
from serving.predictions.predictor import Answer, Ask, Desk
from serving.settings import ServiceSettings
from serving.store.records import Kind, Outcome
from serving.store.store import Store

LEADS_AT_ONCE = 1_000
_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Imported:
    """What became of the records of each kind, and how many open leads are in each stage."""

    records: Mapping[Kind, Counter[Outcome]]
    stages: Counter[str]

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        records = {kind: dict(counts) for kind, counts in self.records.items()}
        return {"records": records, "stages": dict(self.stages)}

    def lines(self, lang: Language) -> list[str]:
        """A sentence for each kind, and one for the scores."""
        told = [
            say(
                "import_records",
                lang,
                kind=kind,
                **{name: f"{counts[name]:,}" for name in _OUTCOMES},
            )
            for kind, counts in self.records.items()
        ]
        stages = {stage: f"{self.stages[stage]:,}" for stage in STAGES}
        return [*told, say("import_scored", lang, **stages)]


def import_crm(
    settings: ServiceSettings,
    crm: CrmSettings,
    export: Export,
    tell: Callable[[str], None],
    clock: Callable[[], int] = now_ms,
) -> Imported:
    """Store an export and score its open leads with what is in use now. Raises StoreAway, SettingsError."""
    store = Store.open(settings.store_url, settings.spool)
    try:
        tell(f"storing what {len(export.crm):,} leads and their activities tell")
        records = import_export(store, export, crm)
        watch = Watch(crm, settings.bundles)
        watch.refresh()
        is_open = ~export.crm.outcomes.closed
        ids = [str(lead_id) for lead_id in export.crm.lead_ids[is_open]]
        tell(f"scoring {len(ids):,} open leads")
        return Imported(records, score_leads(crm, watch, store, ids, clock))
    finally:
        store.close()


def score_leads(
    crm: CrmSettings,
    watch: Watch,
    store: Store,
    ids: Sequence[str],
    clock: Callable[[], int] = now_ms,
) -> Counter[str]:
    """Score leads from what the store knows of them, as the service does; how many are in each stage."""
    said = Said(store)
    said.refresh()
    desk = Desk(crm, watch, store, said, Metrics(clock), clock)
    stages: Counter[str] = Counter()
    for start in range(0, len(ids), LEADS_AT_ONCE):
        leads = [{"lead_id": lead_id} for lead_id in ids[start : start + LEADS_AT_ONCE]]
        answers = asyncio.run(desk.many(orjson.dumps({"leads": leads}), Ask(explain="top")))
        stages.update(each.score.stage for each in answers if isinstance(each, Answer))
    return stages
