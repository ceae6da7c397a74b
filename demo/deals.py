"""The deals table: one row a lead whose deal was entered or closed by the snapshot."""

from typing import Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]

from demo.accounts import Accounts
from demo.clock import AS_OF, Flags, Floats, Ints
from demo.columns import ids, picks, times, words
from demo.fates import LOST, OPEN, WON, Fates
from demo.traits import Traits

OUTCOMES: Final = ("open", "won", "lost")
REASONS: Final = ("price", "competitor", "timing", "no_need", "no_reply")
REASON_SHARES: Final = (24, 20, 22, 16, 18)
PLANS: Final = ("starter", "business", "enterprise")
BUSINESS_FROM: Final = np.log(50)
ENTERPRISE_FROM: Final = np.log(500)


def deals_table(
    rng: np.random.Generator, accounts: Accounts, traits: Traits, fates: Fates, lead_ids: pa.Array
) -> pa.Table:
    """Deals in the order in which they were opened; a close after the snapshot is still open."""
    lead = np.flatnonzero((fates.closed < AS_OF) | (fates.opened < AS_OF))
    lead = lead[np.argsort(fates.opened[lead], kind="stable")]
    closed = fates.closed[lead]
    outcome = np.where(closed < AS_OF, fates.fate[lead], OPEN)
    log_employees = accounts.log_employees[traits.account[lead]]
    plan = np.searchsorted([BUSINESS_FROM, ENTERPRISE_FROM], log_employees)
    reason = picks(rng, REASON_SHARES, len(lead))
    return pa.table(
        {
            "deal_id": ids("D", len(lead), 6),
            "lead_id": lead_ids.take(pa.array(lead)),
            "opened_at": times(fates.opened[lead]),
            "outcome": words(outcome, OUTCOMES),
            "closed_at": times(closed),
            "amount_jpy": _amount(rng, log_employees),
            "lost_reason": words(_only(outcome == LOST, reason), REASONS),
            "signed_plan": words(_only(outcome == WON, plan), PLANS),
        }
    )


def _amount(rng: np.random.Generator, log_employees: Floats) -> Ints:
    """Yen a year, in steps of ten thousand; larger companies buy more seats."""
    noise = 0.4 * rng.standard_normal(len(log_employees))
    amount = 300_000 * np.exp(0.5 * log_employees + noise)
    return np.rint(amount / 10_000).astype(np.int64) * 10_000


def _only(where: Flags, codes: Ints) -> Ints:
    return np.where(where, codes, -1)
