"""Versions of the definition: nothing is lost, nobody signs twice, two at once are told of each other."""

from __future__ import annotations

import threading

import pytest

from serving.review.definition import versions
from serving.review.definition.versions import AlreadySigned, Outdated, Signature
from serving.store.store import Store
from tests.helpers.service.stores import server, store, url

__all__ = ["server", "store", "url"]
NOW, PARTIES = 1_790_000_000_000, ("marketing", "sales")


def saved(store: Store, base: int, text: str = "t") -> int:
    return store.write(
        lambda connection: versions.save(connection, base, text, f"v-{text}", "Sato", "why", NOW)
    )


def signature(party: str, key_id: str) -> Signature:
    return Signature(party, "Sato", key_id, NOW, "")


def test_the_file_becomes_the_first_version_once(store: Store) -> None:
    for _ in range(2):
        store.write(lambda connection: versions.import_file_version(connection, "text", "hash", NOW, PARTIES))
    (version,) = store.read(versions.all_versions)
    assert (version.number, version.version, version.author, version.in_force_at) == (
        1,
        "hash",
        versions.OUTSIDE,
        NOW,
    )


def test_what_was_written_by_hand_meanwhile_is_a_version_too(store: Store) -> None:
    store.write(lambda connection: versions.import_file_version(connection, "one", "h1", NOW, PARTIES))
    assert saved(store, 1) == 2
    store.write(
        lambda connection: versions.import_file_version(connection, "by hand", "h3", NOW + 1, PARTIES)
    )
    history = store.read(versions.all_versions)
    assert [(v.number, v.based_on, v.in_force_at) for v in history] == [
        (3, 1, NOW + 1),
        (2, 1, None),
        (1, None, NOW),
    ]


def test_who_comes_second_is_told_and_nothing_is_saved(store: Store) -> None:
    assert saved(store, 0, "first") == 1
    with pytest.raises(Outdated) as problem:
        saved(store, 0, "second")
    assert problem.value.newest == 1
    assert [v.text for v in store.read(versions.all_versions)] == ["first"]


def test_of_two_at_the_very_same_moment_one_is_saved(store: Store) -> None:
    start, results = threading.Barrier(2), []

    def save(text: str) -> None:
        start.wait()
        try:
            results.append(saved(store, 0, text))
        except Outdated:
            results.append("stale")

    threads = [threading.Thread(target=save, args=(text,)) for text in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["1", "stale"]
    assert len(store.read(versions.all_versions)) == 1


def test_each_party_signs_once_and_a_key_for_one_party(store: Store) -> None:
    saved(store, 0)

    def sign(party: str, key: str, one_party_per_key: bool = True) -> None:
        store.write(lambda c: versions.sign(c, 1, signature(party, key), one_party_per_key))

    sign("marketing", "k1")
    for party, key in (("marketing", "k2"), ("sales", "k1")):
        with pytest.raises(AlreadySigned):
            sign(party, key)
    (version,) = store.read(versions.all_versions)
    assert version.missing(["marketing", "sales"]) == ["sales"]
    assert versions.signable_parties(version, "k1", ("marketing", "sales"), one_party_per_key=True) == []
    assert versions.signable_parties(version, "k2", ("marketing", "sales"), one_party_per_key=True) == [
        "sales"
    ]
    sign("sales", "k2")
    (version,) = store.read(versions.all_versions)
    assert version.missing(["marketing", "sales"]) == []


def test_in_force_is_noted_once(store: Store) -> None:
    saved(store, 0)
    for now in (NOW + 5, NOW + 9):
        store.write(lambda connection, now=now: versions.mark_in_force(connection, 1, now))
    assert store.read(versions.all_versions)[0].in_force_at == NOW + 5


def test_what_is_not_the_newest_any_more_cannot_be_signed(store: Store) -> None:
    saved(store, 0, "a")
    saved(store, 1, "b")
    with pytest.raises(Outdated):
        store.write(lambda connection: versions.sign(connection, 1, signature("sales", "k1")))
    assert not store.read(versions.all_versions)[1].signatures


def test_a_file_that_was_written_for_a_signed_version_is_that_version(store: Store) -> None:
    """A page that is read between the file's write and the note of it, or a crash there."""
    store.write(lambda connection: versions.import_file_version(connection, "one", "h1", NOW, PARTIES))
    saved(store, 1, "two")
    for party, key in (("marketing", "k1"), ("sales", "k2")):
        store.write(lambda c, p=party, k=key: versions.sign(c, 2, signature(p, k)))
    store.write(lambda connection: versions.import_file_version(connection, "two", "v-two", NOW + 5, PARTIES))
    history = store.read(versions.all_versions)
    assert [(v.number, v.in_force_at) for v in history] == [(2, NOW + 5), (1, NOW)]
    assert versions.find_in_force(history) == history[0]


def test_a_file_like_a_version_that_nobody_signed_was_edited_by_hand(store: Store) -> None:
    store.write(lambda connection: versions.import_file_version(connection, "one", "h1", NOW, PARTIES))
    saved(store, 1, "two")
    store.write(lambda connection: versions.import_file_version(connection, "two", "v-two", NOW + 5, PARTIES))
    assert store.read(versions.all_versions)[0].author == versions.OUTSIDE


def test_one_key_that_signs_for_both_at_once_signs_for_one(store: Store) -> None:
    saved(store, 0)
    start, rejected_parties = threading.Barrier(2), []

    def sign(party: str) -> None:
        start.wait()
        try:
            store.write(lambda connection: versions.sign(connection, 1, signature(party, "k1")))
        except AlreadySigned:
            rejected_parties.append(party)

    threads = [threading.Thread(target=sign, args=(party,)) for party in PARTIES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rejected_parties) == 1
    assert len(store.read(versions.all_versions)[0].signatures) == 1
