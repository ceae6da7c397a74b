"""The leads table: the current attributes of each lead."""

import numpy as np
import pyarrow as pa

from demo.accounts import INDUSTRIES, PREFECTURES, Accounts, employees
from demo.channels import CAMPAIGNS, KEYWORDS, NAMES, draw_keyword
from demo.clock import AS_OF, IntArray
from demo.columns import decode_labels, draw_codes, make_ids, to_timestamps, yes_no
from demo.company import CODE, COMPANY, KINDS
from demo.fates import LOST, WON, Fates
from demo.hearings import COLUMNS, BantChanges, newest_values
from demo.traits import Traits, sigmoid

TITLES = (*COMPANY["titles"], "学生")
DECIDES, SMALL_DECIDES, HELPS = zip(*COMPANY["titles"].values(), strict=True)
STUDENT = TITLES.index("学生")
STAGES = ("nurturing", "in_contact", "customer", "closed")
OWNERS = tuple(f"IS{number:02d}" for number in range(1, 9))
PAGES = COMPANY["pages"]
ALL_PAGES = tuple(dict.fromkeys(PAGES.values()))


def leads_table(
    rng: np.random.Generator,
    accounts: Accounts,
    traits: Traits,
    fates: Fates,
    campaign: IntArray,
    first: IntArray,
) -> pa.Table:
    """The attributes from the form, from the company and from the first contact of inside sales."""
    count = len(traits)
    account = pa.array(traits.account)
    return pa.table(
        {
            "lead_id": make_ids("L", count, 6),
            "account_id": make_ids("A", len(accounts), 5).take(account),
            "created_at": to_timestamps(traits.created),
            "channel": decode_labels(traits.channel, NAMES),
            "campaign": decode_labels(campaign, CAMPAIGNS),
            "keyword": decode_labels(draw_keyword(rng, traits.channel, traits.intent), KEYWORDS),
            "landing_page": decode_labels(_page(rng, first), ALL_PAGES),
            "employees": employees(accounts).take(account),
            "industry": decode_labels(accounts.industry[traits.account], INDUSTRIES),
            "prefecture": decode_labels(accounts.prefecture[traits.account], PREFECTURES),
            "job_title": decode_labels(_title(rng, traits), TITLES),
            "mail_domain": decode_labels(_private_mail(rng, traits), ("company", "private")),
            "is_competitor": yes_no(traits.competitor),
            "is_student": yes_no(traits.student),
            "owner": decode_labels(_owner(rng, fates), OWNERS),
            "first_contact_at": to_timestamps(fates.contacted),
        }
    )


def with_current_values(
    leads: pa.Table, fates: Fates, changes: BantChanges, unsubscribed: IntArray
) -> pa.Table:
    """The leads with the columns that describe the state at the snapshot.

    `status` mirrors the outcome: a leak, left in so that an audit has something to find.
    """
    for column, name in enumerate(COLUMNS):
        leads = leads.append_column(name, newest_values(changes, column, len(leads)))
    leads = leads.append_column("status", decode_labels(_lead_stage(fates), STAGES))
    return leads.append_column("unsubscribed", yes_no(unsubscribed < AS_OF))


def _page(rng: np.random.Generator, first: IntArray) -> IntArray:
    """The landing page; missing for trade fairs and for some others."""
    pages = [ALL_PAGES.index(PAGES[kind]) if kind in PAGES else -1 for kind in KINDS]
    page = np.array(pages)[first]
    unrecorded = (first != CODE["trial_started"]) & (rng.random(len(first)) < 0.06)
    return np.where(unrecorded, -1, page)


def _title(rng: np.random.Generator, traits: Traits) -> IntArray:
    count = len(traits)
    chief = np.where(traits.large, draw_codes(rng, DECIDES, count), draw_codes(rng, SMALL_DECIDES, count))
    title = np.where(traits.decider, chief, draw_codes(rng, HELPS, count))
    missing = rng.random(count) < np.where(traits.student, 0.0, 0.09)
    return np.where(traits.student, STUDENT, np.where(missing, -1, title))


def _private_mail(rng: np.random.Generator, traits: Traits) -> IntArray:
    private = sigmoid(-2.6 - 0.9 * traits.fit + 2.0 * traits.student)
    return (rng.random(len(traits)) < private).astype(np.int64)


def _owner(rng: np.random.Generator, fates: Fates) -> IntArray:
    someone = rng.integers(0, len(OWNERS), len(fates.contacted))
    return np.where(fates.contacted < AS_OF, someone, -1)


def _lead_stage(fates: Fates) -> IntArray:
    stage = (fates.contacted < AS_OF).astype(np.int64)
    ended = fates.closed < AS_OF
    stage = np.where(ended & (fates.fate == WON), STAGES.index("customer"), stage)
    return np.where(ended & (fates.fate == LOST), STAGES.index("closed"), stage)
