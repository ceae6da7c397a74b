"""A past for the demo: what a service that ran on the rules alone would have answered, and what people did.

Nothing of it is invented but the people: scores are those of the rules at each moment, from what was
known then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from features.clock import MS_PER_DAY, NEVER, now_ms
from features.columns import Ints
from features.crm_data import Crm
from features.many_leads import Histories, ManyLeads
from features.messages import Message, ReportStep
from features.settings import CrmSettings
from scoring.decision.build_scorer import build_scorer
from scoring.decision.scorer import Scorer
from scoring.scorecard.scorecard import HOT
from serving.jobs.crm_records import CrmExport
from serving.predictions.predictor import build_prediction
from serving.settings import ServiceSettings
from serving.store.records import Record, RecordKind
from serving.store.store import Store

SalesEvent = tuple[RecordKind, int, Mapping[str, object]]
"""Something that people did about a lead: what kind of record, when (ms UTC), and what it tells."""
SalesSimulator = Callable[[str, int, int | None, bool, int], Iterable[SalesEvent]]
"""What people did about a lead that turned hot at a moment, and was closed then (None: is open), won or
not, until now."""

_BATCH_SIZE = 2_000


def simulate_history(
    settings: ServiceSettings,
    crm: CrmSettings,
    export: CrmExport,
    sales_events: SalesSimulator,
    progress: ReportStep,
    now: int | None = None,
) -> None:
    """Half a year of a service on the rules alone until now (ms UTC), and what people did with its answers.

    Raises StoreUnavailable, and SettingsError where there are no rules.
    """
    now = now_ms() if now is None else now
    scorer = build_scorer(crm, None, "no_model", progress)
    store = Store.open(settings.store_url, settings.spool, key_file=settings.pseudonym_key_file)
    try:
        progress(Message("living through half a year on the rules alone"))
        hot_since = score_moments(store, export.crm, scorer, past_moments(now))
        records = list(sales_records(export.crm, hot_since, sales_events, now))
        if records:
            store.add_records(records).result()
    finally:
        store.close()


def past_moments(now: int, weeks: int = 26, days: int = 14) -> list[int]:
    """Weekly, and daily at last, until a day before `now` (ms UTC)."""
    weekly = range(now - 7 * weeks * MS_PER_DAY, now - days * MS_PER_DAY, 7 * MS_PER_DAY)
    return [*weekly, *range(now - days * MS_PER_DAY, now, MS_PER_DAY)]


def score_moments(store: Store, crm: Crm, scorer: Scorer, moments: Sequence[int]) -> dict[str, int]:
    """Score the leads that were open at each moment, and remember what changed since the moment before.

    Returns when each lead first turned hot (ms UTC). Raises StoreUnavailable.
    """
    histories, hot_since = Histories(crm), dict[str, int]()
    before = np.full(len(crm), -1, dtype=np.int64)
    for moment in moments:
        rows = np.flatnonzero((crm.created < moment) & (crm.outcomes.closed_at >= moment))
        for start in range(0, len(rows), _BATCH_SIZE):
            part = rows[start : start + _BATCH_SIZE]
            _score(store, crm, scorer, histories, part, moment, before, hot_since)
    return hot_since


def sales_records(
    crm: Crm, hot_since: Mapping[str, int], sales_events: SalesSimulator, now: int
) -> Iterator[Record]:
    """What people did until `now` (ms UTC) about the leads that turned hot."""
    row_of = {str(lead_id): row for row, lead_id in enumerate(crm.lead_ids)}
    for lead_id, hot_at in hot_since.items():
        row = row_of[lead_id]
        closed = int(crm.outcomes.closed_at[row])
        ended = None if closed == NEVER else closed
        events = sales_events(lead_id, hot_at, ended, bool(crm.outcomes.won[row]), now)
        for kind, time_ms, body in events:
            key = f"demo:{lead_id}:{time_ms}:{body.get('step', kind)}"
            if time_ms < min(now, closed):
                yield Record(kind, key, 1, lead_id, time_ms, body)


def _score(
    store: Store,
    crm: Crm,
    scorer: Scorer,
    histories: Histories,
    rows: Ints,
    moment: int,
    before: Ints,
    hot_since: dict[str, int],
) -> None:
    view = ManyLeads(histories, rows, np.full(len(rows), moment))
    ids = [str(lead_id) for lead_id in crm.lead_ids[rows]]
    answers = scorer.score_batch(ids, scorer.table.compute_many(view), moment, {})
    scores, deadlines = answers.scores("en", moment, "none"), answers.actions.deadline.tolist()
    stage, score = answers.decision.stage, answers.decision.score
    for lead_id in np.array(ids)[stage == HOT].tolist():
        hot_since.setdefault(lead_id, moment)
    changed = np.flatnonzero(before[rows] != score)
    before[rows] = score
    store.add_predictions(
        [build_prediction(scores[i], deadlines[i], moment, moment, replay=False) for i in changed.tolist()]
    ).result()
