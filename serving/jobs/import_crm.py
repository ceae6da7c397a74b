"""`hotlead import`: stores the export of a CRM and scores its open leads."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from features.clock import now_ms
from features.kinds import Language
from features.settings import CrmSettings
from scoring.scorecard.scorecard import STAGES
from scoring.texts import translate
from serving.jobs.crm_records import CrmExport, store_export
from serving.leads.field_types import AttributeSchema
from serving.leads.mirrors import OverrideMirror
from serving.observability.prometheus import Metrics
from serving.predictions.live_model import ModelWatcher
from serving.predictions.predictor import Predictor, ScoredLead, ScoreOptions
from serving.settings import ServiceSettings
from serving.store.queries import in_chunks
from serving.store.records import RecordKind, WriteOutcome
from serving.store.store import Store

_OUTCOMES: tuple[WriteOutcome, ...] = get_args(WriteOutcome)


@dataclass(frozen=True)
class ImportResult:
    """The outcomes of the records of each kind, and the number of open leads in each stage."""

    records: Mapping[RecordKind, Counter[WriteOutcome]]
    stages: Counter[str]

    def to_dict(self) -> dict[str, object]:
        records = {kind: dict(counts) for kind, counts in self.records.items()}
        return {"records": records, "stages": dict(self.stages)}

    def lines(self, lang: Language) -> list[str]:
        """A sentence for each kind, and one for the scores."""
        sentences = [
            translate("import_records", lang, kind=kind, **{name: f"{counts[name]:,}" for name in _OUTCOMES})
            for kind, counts in self.records.items()
        ]
        stages = {stage: f"{self.stages[stage]:,}" for stage in STAGES}
        return [*sentences, translate("import_scored", lang, **stages)]


def import_crm(
    settings: ServiceSettings,
    crm: CrmSettings,
    export: CrmExport,
    progress: Callable[[str], None],
    clock: Callable[[], int] = now_ms,
) -> ImportResult:
    """Store an export and score its open leads with the live model.

    Raises StoreUnavailable and SettingsError.
    """
    store = Store.open(settings.store_url, settings.spool)
    try:
        progress(f"storing what {len(export.crm):,} leads and their activities tell")
        records = store_export(store, export, crm)
        model_watcher = ModelWatcher(crm, settings.bundles)
        model_watcher.refresh()
        is_open = ~export.crm.outcomes.closed
        ids = [str(lead_id) for lead_id in export.crm.lead_ids[is_open]]
        progress(f"scoring {len(ids):,} open leads")
        return ImportResult(records, score_leads(crm, model_watcher, store, ids, clock))
    finally:
        store.close()


def score_leads(
    crm: CrmSettings,
    model_watcher: ModelWatcher,
    store: Store,
    ids: Sequence[str],
    clock: Callable[[], int] = now_ms,
) -> Counter[str]:
    """Score leads from the store, as the service does; the number of leads in each stage."""
    overrides = OverrideMirror(store)
    overrides.refresh()
    schema, metrics = AttributeSchema.from_settings(crm), Metrics(now=clock)
    predictor = Predictor(schema, model_watcher, store, overrides, metrics)
    return asyncio.run(_score_in_chunks(predictor, ids, clock))


async def _score_in_chunks(
    predictor: Predictor, ids: Sequence[str], clock: Callable[[], int]
) -> Counter[str]:
    stages: Counter[str] = Counter()
    for chunk in in_chunks(ids):
        results = await predictor.predict_batch(chunk, ScoreOptions(now=clock()))
        stages.update(result.score.stage for result in results if isinstance(result, ScoredLead))
    return stages
