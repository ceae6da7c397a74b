"""The versions of the definition: saved, signed by each party, in force; none is ever changed or lost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cache

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from serving.store.queries import Statement
from serving.store.state.audit_log import Actor, Change, record_change
from serving.store.tables import card_versions, sign_offs

OUTSIDE = "scorecard.toml"
"""Who saved a version that somebody wrote into the file by hand."""
_c, _s = card_versions.c, sign_offs.c


class Outdated(Exception):
    """Somebody else saved meanwhile; `newest` is the number of what they saved."""

    def __init__(self, newest: int) -> None:
        super().__init__(newest)
        self.newest = newest


class AlreadySigned(Exception):
    """This party, or this key for another party, has signed already."""


@dataclass(frozen=True)
class Signature:
    """Who agreed, for which party, and when (ms UTC)."""

    party: str
    by: str
    key_id: str
    at: int
    note: str


@dataclass(frozen=True)
class Version:
    """A saved definition. `version` is the hash of its card; `in_force_at` None: it waits. Times ms UTC."""

    number: int
    version: str
    text: str
    based_on: int | None
    author: str
    note: str
    created_at: int
    in_force_at: int | None
    signatures: tuple[Signature, ...] = ()

    def missing(self, parties: Sequence[str]) -> list[str]:
        signed = {signature.party for signature in self.signatures}
        return [party for party in parties if party not in signed]


def all_versions(connection: Connection) -> list[Version]:
    """Every version, the newest first."""
    signed: dict[int, list[Signature]] = {}
    for row in connection.execute(_select_signatures()):
        signed.setdefault(row.number, []).append(Signature(row.party, row.by, row.key_id, row.at, row.note))
    return [
        Version(**row._mapping, signatures=tuple(signed.get(row.number, ())))
        for row in connection.execute(_select_versions())
    ]


def find_in_force(versions: Sequence[Version]) -> Version | None:
    """The version in force: the newest that has been; `versions` has the newest first."""
    return next((version for version in versions if version.in_force_at is not None), None)


def import_file_version(
    connection: Connection, text: str, version: str, now: int, parties: Sequence[str]
) -> None:
    """Take in what stands in the file, where that is not the version in force: it was edited outside, or it
    is the newest version, which all parties have signed, and whose file was just written. Raises Outdated."""
    versions = all_versions(connection)
    present, newest = find_in_force(versions), versions[0] if versions else None
    if present is not None and present.version == version:
        return
    if newest is not None and newest.version == version and not newest.missing(parties):
        mark_in_force(connection, newest.number, now)
        return _record_from_file(connection, newest.number, version)
    base, last = (candidate.number if candidate else None for candidate in (present, newest))
    values = {"text": text, "version": version, "author": OUTSIDE, "note": "", "created_at": now}
    number = _insert(connection, last or 0, **values, based_on=base, in_force_at=now)
    _record_from_file(connection, number, version)


def _record_from_file(connection: Connection, number: int, version: str) -> None:
    """Note in the audit log that the file put a version in force. Who wrote the file is not known."""
    actor = Actor(OUTSIDE, "file")
    record_change(connection, Change(actor, "definition_from_file", str(number), {"version": version}))


def save(connection: Connection, base: int, text: str, version: str, author: str, note: str, now: int) -> int:
    """Save a definition that was made from version `base`; its number. Raises Outdated."""
    _check_newest(connection, base)
    values = {"text": text, "version": version, "author": author, "note": note, "created_at": now}
    return _insert(connection, base, **values, based_on=base)


def sign(connection: Connection, number: int, signature: Signature, one_party_per_key: bool = True) -> None:
    """Sign the newest version; with `one_party_per_key` no key signs for two parties.

    Raises AlreadySigned, and Outdated where it is not the newest any more.
    """
    connection.execute(select(_c.number).where(_c.number == number).with_for_update())  # one by one
    _check_newest(connection, number)
    signatures = connection.execute(_select_signatures().where(_s.number == number)).all()
    party, key_id = signature.party, signature.key_id
    if any(row.party == party or (one_party_per_key and row.key_id == key_id) for row in signatures):
        raise AlreadySigned
    try:
        connection.execute(insert(sign_offs).values(number=number, **asdict(signature)))
    except IntegrityError:
        raise AlreadySigned from None


def mark_in_force(connection: Connection, number: int, now: int) -> bool:
    """Note that a version is in force from now on; once is enough. Whether it waited until now."""
    waits = (_c.number == number) & _c.in_force_at.is_(None)
    return bool(connection.execute(update(card_versions).where(waits).values(in_force_at=now)).rowcount)


def signable_parties(
    version: Version, key_id: str, parties: Collection[str], one_party_per_key: bool
) -> list[str]:
    """The parties that a key may sign for."""
    if one_party_per_key and any(signature.key_id == key_id for signature in version.signatures):
        return []
    return version.missing(list(parties))


def _check_newest(connection: Connection, number: int) -> None:
    newest = connection.scalar(select(_c.number).order_by(_c.number.desc()).limit(1)) or 0
    if newest != number:
        raise Outdated(newest)


def _insert(connection: Connection, newest: int, **values: object) -> int:
    """Insert the values of a `Version` under the next number: of two who come at once, one finds it taken."""
    number = newest + 1
    try:
        connection.execute(insert(card_versions).values(number=number, **values))
    except IntegrityError:
        raise Outdated(number) from None
    return number


@cache
def _select_versions() -> Statement:
    return select(card_versions).order_by(_c.number.desc())


@cache
def _select_signatures() -> Statement:
    return select(sign_offs).order_by(_s.seq)
