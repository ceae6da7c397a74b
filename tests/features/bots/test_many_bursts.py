"""Arrays of many leads give the marks that each lead has alone."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.crm import generate
from features.bots.bursts import BURST_RULES, find_bursts
from features.bots.many_bursts import find_bursts_of_leads, split_bots
from features.crm_data import Activities, no_activities
from tests.helpers.builders import ActivityRow, make_crm
from tests.helpers.scanner_bursts import PEOPLE, SCANNERS

rows = st.tuples(
    st.integers(0, 2), st.sampled_from(["click", "page"]), st.integers(0, 5_000), st.just(math.nan)
)
mails = st.tuples(st.integers(0, 2), st.just("mail_sent"), st.integers(0, 5_000), st.just(math.nan))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(activities=st.lists(rows, max_size=60), sent_mails=st.lists(mails, max_size=3))
def test_many_leads_are_marked_as_each_of_them(
    activities: list[ActivityRow], sent_mails: list[ActivityRow]
) -> None:
    everything = [*sent_mails, *activities]
    codes = find_bursts_of_leads(make_crm(3, everything).activities)
    for lead in range(3):
        places = [place for place, row in enumerate(everything) if row[0] == lead]
        rules = find_bursts([everything[place][1:] for place in places])
        expected = [BURST_RULES.index(rules[i]) if i in rules else -1 for i in range(len(places))]
        assert codes[places].tolist() == expected


def test_people_and_machines_are_told_apart_among_many_leads() -> None:
    histories = [*SCANNERS.values(), *PEOPLE.values()]
    activities = [(lead, *event) for lead, events in enumerate(histories) for event in events]
    order = np.random.default_rng(0).permutation(len(activities))
    crm = make_crm(len(histories), [activities[i] for i in order])
    people, bots = split_bots(crm.activities)
    assert set(bots.activities.lead.tolist()) == set(range(len(SCANNERS)))
    assert len(people) + len(bots) == len(activities)
    assert {*bots.rules} == {*BURST_RULES}


def test_no_activities_have_no_bursts() -> None:
    people, bots = split_bots(no_activities())
    assert (len(people), len(bots)) == (0, 0)


def test_the_people_of_the_demo_are_not_taken_for_machines() -> None:
    """One in a thousand of their activities at most; a mailing makes some of them act in the same second."""
    table = generate(leads=6_000).tables["activities"]
    lead_ids, types = table["lead_id"].combine_chunks(), table["type"].combine_chunks().cast("string")
    lead, kind = lead_ids.dictionary_encode(), types.dictionary_encode()
    activities = Activities(
        lead.indices.to_numpy().astype(np.int32),
        kind.indices.to_numpy().astype(np.int16),
        table["at"].cast("timestamp[ms]").cast("int64").to_numpy(),
        None,
        tuple(kind.dictionary.to_pylist()),
    )
    assert (find_bursts_of_leads(activities) >= 0).mean() < 0.001
