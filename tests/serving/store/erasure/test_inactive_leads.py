"""Leads to which nothing has happened for long are erased, and no others, whatever the clock says."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from features.clock import MS_PER_DAY
from serving.store.erasure.inactive_leads import find_inactive_leads
from serving.store.records import Record
from serving.store.store import Store
from tests.helpers.service.live_service import settings_of
from tests.helpers.service.stores import (
    MOMENT_MS,
    activity,
    add_predictions,
    add_records,
    hot,
    record,
    server,
    store,
    url,
)
from tests.helpers.small_crm import command, run, small_crm

__all__ = ["server", "store", "url"]
OLD, RECENT = MOMENT_MS - 400 * MS_PER_DAY, MOMENT_MS - 30 * MS_PER_DAY


def inactive(store: Store, days: int = 365, now: int = MOMENT_MS, limit: int = 10) -> tuple[list[str], int]:
    leads = store.read(lambda connection: find_inactive_leads(connection, days, now, limit))
    return leads.lead_ids, leads.total


def created(lead_id: str, moment_ms: int = OLD) -> Record:
    return record("leads", f"{lead_id} at {moment_ms}", moment_ms, lead_id=lead_id)


@pytest.fixture
def filled_store(store: Store) -> Store:
    """Old leads: of some, something has happened since."""
    add_records(
        store,
        *map(created, ("quiet", "corrected", "visited", "won", "planned")),
        created("new", RECENT),
        created("corrected", RECENT),
        activity("a0", OLD - MS_PER_DAY, lead_id="quietest"),
        activity("a1", OLD, lead_id="visited"),
        activity("a2", RECENT, lead_id="visited"),
        record("outcomes", "o", RECENT, lead_id="won", outcome="won"),
        record("handovers", "h", OLD, lead_id="planned", step="next_action", due_at=RECENT),
        activity("now", MOMENT_MS, lead_id="of today"),
    )
    add_predictions(store, hot("quiet", MOMENT_MS), hot("scored only", OLD))
    return store


def test_leads_without_an_event_are_inactive(filled_store: Store) -> None:
    assert inactive(filled_store) == (["quietest", "corrected", "quiet", "scored only"], 4)
    assert inactive(filled_store, limit=1) == (["quietest"], 4)
    assert inactive(filled_store, days=401) == ([], 0)


def test_a_clock_that_jumps_ahead_makes_nobody_inactive(filled_store: Store) -> None:
    before = inactive(filled_store)
    assert inactive(filled_store, now=MOMENT_MS + 9_000 * MS_PER_DAY) == before
    assert inactive(filled_store, now=OLD - 100 * MS_PER_DAY) == ([], 0)


def test_an_empty_store_has_none(store: Store) -> None:
    assert inactive(store) == ([], 0)


def test_the_command_asks_with_the_count_and_erases(tmp_path: Path) -> None:
    crm_toml = small_crm(tmp_path, leads=2)
    settings = settings_of(crm_toml)
    with closing(Store.open(settings.store_url, settings.spool)) as opened:
        add_records(opened, created("one"), created("two"), activity("now", MOMENT_MS, lead_id="of today"))
    arguments = ("forget", "--inactive", "365", crm_toml)
    assert "2 leads would be erased" in run(*arguments, "--dry-run").stdout
    refused = subprocess.run(
        command(*arguments), input="n\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert (refused.returncode, "Erase all data of 2 leads" in refused.stderr) == (130, True)
    completed = run(*arguments, "--yes", "--may-return", "--json")
    assert json.loads(completed.stdout)["erased"] == 2, completed.stderr
    with closing(Store.open(settings.store_url, settings.spool)) as opened:
        assert list(opened.leads(["one", "two", "of today"])) == ["of today"]
        assert add_records(opened, created("one")) == ["stored"]
    assert run("forget", "--inactive", "1", "--yes", crm_toml).returncode == 0
    with closing(Store.open(settings.store_url, settings.spool)) as opened:
        assert add_records(opened, created("one")) == ["suppressed"]
    assert "0 leads would be erased" in run(*arguments, "--yes").stdout
