"""The deals table: one row per lead whose deal was opened or closed by the snapshot."""

import numpy as np
import pyarrow as pa

from demo.accounts import Accounts
from demo.clock import AS_OF, FloatArray, IntArray
from demo.columns import decode_labels, draw_codes, make_ids, to_timestamps
from demo.fates import LOST, OPEN, WON, Fates
from demo.traits import Traits

OUTCOMES = ("open", "won", "lost")
REASONS = ("price", "competitor", "timing", "no_need", "no_reply")
REASON_SHARES = (24, 20, 22, 16, 18)
PLANS = ("starter", "business", "enterprise")
BUSINESS_FROM = np.log(50)
ENTERPRISE_FROM = np.log(500)


def deals_table(
    rng: np.random.Generator, accounts: Accounts, traits: Traits, fates: Fates, lead_ids: pa.Array
) -> pa.Table:
    """Deals in the order in which they were opened; a deal that closes after the snapshot is open."""
    lead = np.flatnonzero((fates.closed < AS_OF) | (fates.opened < AS_OF))
    lead = lead[np.argsort(fates.opened[lead], kind="stable")]
    closed = fates.closed[lead]
    outcome = np.where(closed < AS_OF, fates.fate[lead], OPEN)
    log_employees = accounts.log_employees[traits.account[lead]]
    plan = np.searchsorted([BUSINESS_FROM, ENTERPRISE_FROM], log_employees)
    reason = draw_codes(rng, REASON_SHARES, len(lead))
    return pa.table(
        {
            "deal_id": make_ids("D", len(lead), 6),
            "lead_id": lead_ids.take(pa.array(lead)),
            "opened_at": to_timestamps(fates.opened[lead]),
            "outcome": decode_labels(outcome, OUTCOMES),
            "closed_at": to_timestamps(closed),
            "amount_jpy": _amount(rng, log_employees),
            "lost_reason": decode_labels(np.where(outcome == LOST, reason, -1), REASONS),
            "signed_plan": decode_labels(np.where(outcome == WON, plan, -1), PLANS),
        }
    )


def _amount(rng: np.random.Generator, log_employees: FloatArray) -> IntArray:
    """Yen per year in steps of ten thousand; larger companies buy more seats."""
    noise = 0.4 * rng.standard_normal(len(log_employees))
    amount = 300_000 * np.exp(0.5 * log_employees + noise)
    return np.rint(amount / 10_000).astype(np.int64) * 10_000
