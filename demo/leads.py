"""The leads table: what the CRM shows of each lead today."""

from typing import Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]

from demo.accounts import INDUSTRIES, PREFECTURES, Accounts, employees
from demo.channels import CAMPAIGNS, KEYWORDS, NAMES, draw_keyword
from demo.clock import AS_OF, Ints
from demo.columns import ids, picks, times, words, yes_no
from demo.fates import LOST, WON, Fates
from demo.habits import CODE, KINDS
from demo.hearings import COLUMNS, Changes, today
from demo.traits import Traits, chance

TITLES: Final = ("代表取締役", "取締役", "部長", "課長", "係長", "主任", "担当者", "学生")
DECIDES: Final = (18, 20, 47, 12, 1, 1, 1)
SMALL_DECIDES: Final = (55, 15, 22, 5, 1, 1, 1)
HELPS: Final = (2, 2, 7, 24, 16, 14, 35)
STUDENT: Final = TITLES.index("学生")
STAGES: Final = ("nurturing", "in_contact", "customer", "closed")
OWNERS: Final = tuple(f"IS{number:02d}" for number in range(1, 9))
PAGES: Final = {
    "newsletter_signup": "/newsletter",
    "white_paper": "/white-papers",
    "material_request": "/materials",
    "webinar_registered": "/webinars",
    "inquiry": "/contact",
    "meeting_request": "/contact",
    "trial_started": "/free-trial",
}
ALL_PAGES: Final = tuple(dict.fromkeys(PAGES.values()))


def leads_table(
    rng: np.random.Generator,
    accounts: Accounts,
    traits: Traits,
    fates: Fates,
    campaign: Ints,
    first: Ints,
) -> pa.Table:
    """What is known from the form, the company's entry and inside sales' first contact."""
    count = len(traits)
    account = pa.array(traits.account)
    return pa.table(
        {
            "lead_id": ids("L", count, 6),
            "account_id": ids("A", len(accounts), 5).take(account),
            "created_at": times(traits.created),
            "channel": words(traits.channel, NAMES),
            "campaign": words(campaign, CAMPAIGNS),
            "keyword": words(draw_keyword(rng, traits.channel, traits.intent), KEYWORDS),
            "landing_page": words(_page(rng, first), ALL_PAGES),
            "employees": employees(accounts).take(account),
            "industry": words(accounts.industry[traits.account], INDUSTRIES),
            "prefecture": words(accounts.prefecture[traits.account], PREFECTURES),
            "job_title": words(_title(rng, traits), TITLES),
            "mail_domain": words(_private_mail(rng, traits), ("company", "private")),
            "is_competitor": yes_no(traits.competitor),
            "is_student": yes_no(traits.student),
            "owner": words(_owner(rng, fates), OWNERS),
            "first_contact_at": times(fates.contacted),
        }
    )


def with_today(leads: pa.Table, fates: Fates, changes: Changes, unsubscribed: Ints) -> pa.Table:
    """The leads with the columns that only tell how things stand at the snapshot.

    `status` mirrors the outcome: a leak, left in so that an audit has something to find.
    """
    for column, name in enumerate(COLUMNS):
        leads = leads.append_column(name, today(changes, column, len(leads)))
    leads = leads.append_column("status", words(_stage(fates), STAGES))
    return leads.append_column("unsubscribed", yes_no(unsubscribed < AS_OF))


def _page(rng: np.random.Generator, first: Ints) -> Ints:
    """Where the lead came in; a trade fair has no page, and some are not recorded."""
    pages = [ALL_PAGES.index(PAGES[kind]) if kind in PAGES else -1 for kind in KINDS]
    page = np.array(pages)[first]
    unrecorded = (first != CODE["trial_started"]) & (rng.random(len(first)) < 0.06)
    return np.where(unrecorded, -1, page)


def _title(rng: np.random.Generator, traits: Traits) -> Ints:
    count = len(traits)
    chief = np.where(traits.large, picks(rng, DECIDES, count), picks(rng, SMALL_DECIDES, count))
    title = np.where(traits.decider, chief, picks(rng, HELPS, count))
    missing = rng.random(count) < np.where(traits.student, 0.0, 0.09)
    return np.where(traits.student, STUDENT, np.where(missing, -1, title))


def _private_mail(rng: np.random.Generator, traits: Traits) -> Ints:
    private = chance(-2.6 - 0.9 * traits.fit + 2.0 * traits.student)
    return (rng.random(len(traits)) < private).astype(np.int64)


def _owner(rng: np.random.Generator, fates: Fates) -> Ints:
    someone = rng.integers(0, len(OWNERS), len(fates.contacted))
    return np.where(fates.contacted < AS_OF, someone, -1)


def _stage(fates: Fates) -> Ints:
    stage = (fates.contacted < AS_OF).astype(np.int64)
    ended = fates.closed < AS_OF
    stage = np.where(ended & (fates.fate == WON), STAGES.index("customer"), stage)
    return np.where(ended & (fates.fate == LOST), STAGES.index("closed"), stage)
