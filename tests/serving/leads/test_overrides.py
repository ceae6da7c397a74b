"""What people said, in memory: added at once, read again when it changed, blind to the future in replays."""

from __future__ import annotations

from collections.abc import Sequence

from scoring.decision.overrides import Override
from serving.leads.overrides import Said, verdict_of
from serving.leads.sales_status import Steps
from serving.store.records import Record

NOW = 1_790_000_000_000


class Kept:
    """A store that tells what it is given, and how often it was asked for all of it."""

    def __init__(self) -> None:
        self.stamp, self.asked = 0, 0
        self.told: list[Override] = []

    def said_stamp(self) -> object:
        return self.stamp

    def said(self) -> Sequence[Override]:
        self.asked += 1
        return list(self.told)

    def steps_newest(self) -> tuple[int, ...]:
        return ()

    def steps_count(self) -> int:
        return 0

    def steps(self, after: tuple[int, ...] | None = None) -> Steps:
        return Steps()


def override(lead_id: str = "A", at: int = NOW, **body: object) -> Record:
    told = {"verdict": "hot", "reason": "said so", "by": "Sato", **body}
    return Record("overrides", f"{lead_id}{at}", 1, lead_id, at, told)


def test_what_was_just_stored_holds_at_once_and_others_stay() -> None:
    said = Said(Kept())
    said.add([override("A"), override("B", verdict="not_hot")])
    said.add([override("A", NOW + 5, verdict="not_hot")])
    in_force = said.among(["A", "B", "C"], NOW + 10)
    assert {lead: o.verdict for lead, o in in_force.items()} == {"A": "not_hot", "B": "not_hot"}


def test_all_is_read_again_only_where_something_changed() -> None:
    kept = Kept()
    said = Said(kept)
    said.refresh()
    said.refresh()
    assert kept.asked == 1
    kept.told.append(Override("A", "hot", "said so", "Sato", NOW))
    kept.stamp = 1
    said.refresh()
    assert said.of("A", NOW + 1) is not None
    kept.told.clear()
    kept.stamp = 2
    said.refresh()
    assert said.of("A", NOW + 1) is None


def test_a_clock_ahead_of_ours_is_heard_now_and_not_in_replays() -> None:
    said = Said(Kept())
    said.add([override("A", NOW + 60_000)])
    assert said.of("A", NOW, live=True) is not None
    assert said.of("A", NOW, live=False) is None


def test_it_ends_when_it_expires() -> None:
    said = Said(Kept())
    said.add([override("A", expires_at=NOW + 10)])
    assert said.of("A", NOW + 9) is not None
    assert said.of("A", NOW + 10) is None


def test_only_verdicts_count() -> None:
    step = Record("handovers", "k", 1, "A", NOW, {"step": "sent_back", "reason": "a student"})
    told = verdict_of(step)
    assert told is not None
    assert (told.verdict, told.reason, told.by, told.hot) == ("sent_back", "a student", "", False)
    contact = Record("handovers", "k", 1, "A", NOW, {"step": "first_contact"})
    assert verdict_of(contact) is None
    assert verdict_of(Record("activities", "k", 1, "A", NOW, {"type": "hot"})) is None
