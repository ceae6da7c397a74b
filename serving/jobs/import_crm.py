"""`hotlead import`: stores the export of a CRM and scores its open leads."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from features.clock import now_ms
from features.crm_data import Crm
from features.kinds import Language
from features.messages import Message, ReportStep
from features.settings import CrmSettings
from scoring.decision.scorer import Scorer
from scoring.evaluation.feature_gaps import FeatureGap, find_gaps_of_export
from scoring.model.bundle import load_bundle
from scoring.pages.feature_gaps import describe_gap
from scoring.scorecard.scorecard import STAGES
from scoring.texts import translate
from serving.jobs.crm_records import CrmExport
from serving.jobs.store_export import ImportCounts, ImportOutcome, store_export
from serving.leads.field_types import AttributeSchema
from serving.leads.mirrors import OverrideMirror
from serving.observability.prometheus import Metrics
from serving.predictions.live_model import ModelWatcher
from serving.predictions.predictor import Predictor, ScoredLead, ScoreOptions
from serving.settings import ServiceSettings
from serving.store import reads
from serving.store.queries import CALL_DAYS, in_chunks
from serving.store.state.known_store import open_store
from serving.store.store import Store

_OUTCOMES: tuple[ImportOutcome, ...] = get_args(ImportOutcome)
_MOST_NAMED = 5


@dataclass(frozen=True)
class ImportResult:
    """The outcomes of the records of each kind, and the number of open leads in each stage.

    `gaps` are features of the open leads that the live model knows otherwise; `absent` are the ids of open
    leads of earlier imports that the export does not hold.
    """

    records: ImportCounts
    stages: Counter[str]
    gaps: Sequence[FeatureGap] = ()
    absent: Sequence[str] = ()

    def to_dict(self) -> dict[str, object]:
        records = {kind: dict(counts) for kind, counts in self.records.items()}
        gaps = [vars(gap) for gap in self.gaps]
        return {"records": records, "stages": dict(self.stages), "gaps": gaps, "absent": list(self.absent)}

    def lines(self, lang: Language) -> list[str]:
        """A sentence for each kind, and one for the scores."""
        sentences = [
            translate("import_records", lang, kind=kind, **{name: f"{counts[name]:,}" for name in _OUTCOMES})
            for kind, counts in self.records.items()
        ]
        if suppressed := sum(counts["suppressed"] for counts in self.records.values()):
            sentences.append(translate("import_suppressed", lang, count=f"{suppressed:,}"))
        stages = {stage: f"{self.stages[stage]:,}" for stage in STAGES}
        sentences.append(translate("import_scored", lang, **stages))
        if self.absent:
            shown = ", ".join(self.absent[:_MOST_NAMED]) + (", …" if len(self.absent) > _MOST_NAMED else "")
            count = f"{len(self.absent):,}"
            sentences.append(translate("import_absent", lang, count=count, ids=shown, days=CALL_DAYS))
        return sentences


def import_crm(
    settings: ServiceSettings,
    crm: CrmSettings,
    export: CrmExport,
    progress: ReportStep,
    clock: Callable[[], int] = now_ms,
    lang: Language = "en",
    is_new_store: bool = False,
) -> ImportResult:
    """Store an export and score its open leads with the live model.

    What the model knows otherwise is reported by `progress`, in `lang`, before any score changes.
    `is_new_store`: a person confirms that a missing store is made anew. Raises StoreUnavailable,
    ConfirmationNeeded and SettingsError.
    """
    store = open_store(settings, is_new_store)
    try:
        model_watcher = ModelWatcher(crm, settings.bundles)
        model_watcher.refresh()
        gaps = find_live_gaps(settings, model_watcher.live_model.scorer, export.crm)
        for gap in gaps:
            progress(describe_gap(gap, crm.table, lang))
        progress(Message("storing what {count:,} leads and their activities tell", count=len(export.crm)))
        records = store_export(store, export, crm)
        present = {*map(str, export.crm.lead_ids)}
        absent = [lead_id for lead_id in store.read(reads.imported_open_leads) if lead_id not in present]
        is_open = ~export.crm.outcomes.closed
        ids = [str(lead_id) for lead_id in export.crm.lead_ids[is_open]]
        progress(Message("scoring {count:,} open leads", count=len(ids)))
        stages = score_leads(crm, model_watcher, store, ids, clock)
        return ImportResult(records, stages, gaps, absent)
    finally:
        store.close()


def find_live_gaps(settings: ServiceSettings, scorer: Scorer, crm: Crm) -> list[FeatureGap]:
    """The features of open leads that the live model knows otherwise; none without a model."""
    calibrated = scorer.calibrated_model
    bundle = None if calibrated is None else load_bundle(settings.bundles)
    if calibrated is None or bundle is None:
        return []
    return find_gaps_of_export(bundle.evidence, calibrated.model, scorer.table, crm)


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
