"""What people said, in memory: added at once, read again when it changed, blind to the future in replays."""

from __future__ import annotations

from typing import Any

from scoring.decision.overrides import Override
from serving.leads.mirrors import OverrideMirror, to_override
from serving.store import reads
from serving.store.records import Record, StoredSteps
from serving.store.sales_steps import count_rows, newest_rows, read_steps

NOW = 1_790_000_000_000


class FakeOverrideStore:
    """A store that tells what it is given, and how often it was asked for all of it."""

    def __init__(self) -> None:
        self.stamp, self.read_count = 0, 0
        self.rows: list[Override] = []
        self.change_mark = b""

    def read(self, work: object) -> Any:
        if work is reads.overrides:
            self.read_count += 1
        answers = {reads.overrides: list(self.rows), reads.overrides_version: self.stamp}
        return {**answers, newest_rows: (), count_rows: 0, read_steps: StoredSteps()}[work]


def make_override_record(lead_id: str = "A", moment_ms: int = NOW, **body: object) -> Record:
    fields = {"verdict": "hot", "reason": "said so", "by": "Sato", **body}
    return Record("overrides", f"{lead_id}{moment_ms}", 1, lead_id, moment_ms, fields)


def test_what_was_just_stored_holds_at_once_and_others_stay() -> None:
    mirror = OverrideMirror(FakeOverrideStore())
    mirror.add([make_override_record("A"), make_override_record("B", verdict="not_hot")])
    mirror.add([make_override_record("A", NOW + 5, verdict="not_hot")])
    in_force = mirror.get_many(["A", "B", "C"], NOW + 10)
    assert {lead: o.verdict for lead, o in in_force.items()} == {"A": "not_hot", "B": "not_hot"}


def test_all_is_read_again_only_where_something_changed() -> None:
    store = FakeOverrideStore()
    mirror = OverrideMirror(store)
    mirror.refresh()
    mirror.refresh()
    assert store.read_count == 1
    store.rows.append(Override("A", "hot", "said so", "Sato", NOW))
    store.stamp = 1
    mirror.refresh()
    assert mirror.get("A", NOW + 1) is not None
    store.rows.clear()
    store.stamp = 2
    mirror.refresh()
    assert mirror.get("A", NOW + 1) is None


def test_a_clock_ahead_of_ours_is_heard_now_and_not_in_replays() -> None:
    mirror = OverrideMirror(FakeOverrideStore())
    mirror.add([make_override_record("A", NOW + 60_000)])
    assert mirror.get("A", NOW, live=True) is not None
    assert mirror.get("A", NOW, live=False) is None


def test_it_ends_when_it_expires() -> None:
    mirror = OverrideMirror(FakeOverrideStore())
    mirror.add([make_override_record("A", expires_at=NOW + 10)])
    assert mirror.get("A", NOW + 9) is not None
    assert mirror.get("A", NOW + 10) is None


def test_only_verdicts_count() -> None:
    step = Record("handovers", "k", 1, "A", NOW, {"step": "sent_back", "reason": "a student"})
    parsed = to_override(step)
    assert parsed is not None
    assert (parsed.verdict, parsed.reason, parsed.by, parsed.hot) == ("sent_back", "a student", "", False)
    contact = Record("handovers", "k", 1, "A", NOW, {"step": "first_contact"})
    assert to_override(contact) is None
    assert to_override(Record("activities", "k", 1, "A", NOW, {"type": "hot"})) is None
