"""`hotlead forget`: erases leads from the store, the disk queue and the evidence of models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from features.errors import DataError, OutsideError, SettingsError
from features.messages import Message
from scoring.evaluation.erase_leads import ErasureReport, erase_leads
from scoring.model.pseudonyms import KEY_FILE_VARIABLE, Pseudonyms
from serving.jobs.audit_log import command_actor
from serving.jobs.export_training_data import erase_from_export
from serving.jobs.lead_ids import find_files_with_ids
from serving.settings import ServiceSettings, shown_url
from serving.store.disk_queue import DiskQueue
from serving.store.erasure.inactive_leads import InactiveLeads, find_inactive_leads
from serving.store.errors import StoreUnavailable
from serving.store.records import ErasedLeads
from serving.store.state.known_store import check_store, has_store, open_store
from serving.store.store import Store

PATIENCE_SECONDS = 10.0
"""How long a busy or unavailable store is retried."""
MAX_INACTIVE = 10_000
"""The number of inactive leads that one run erases."""
T = TypeVar("T")
_REMOTE = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class ForgetResult:
    """What was erased of some leads.

    `store` has the rows by table, None without a store; `named_in` are CSV files below the output folder
    that still contain the id of a lead; `remote` is an MLflow server of whose artifacts only those in `also`
    were searched; `training_data` has the rows by table of `hotlead train --from-store`.
    """

    lead_ids: Sequence[str]
    place: str
    store: ErasedLeads | None
    evidence: ErasureReport
    named_in: Sequence[Path]
    remote: str | None
    also: Sequence[Path] = ()
    training_data: Mapping[Path, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        evidence = self.evidence
        return {
            **({"lead_id": self.lead_ids[0]} if len(self.lead_ids) == 1 else {}),
            **self.counts,
            "store": self.store and self.store.rows,
            "evidence": {str(path): rows for path, rows in evidence.tables.items()},
            "pages": [*map(str, evidence.pages)],
            "training_data": {str(path): rows for path, rows in self.training_data.items()},
            "removed": [*map(str, evidence.removed)],
            "other_key": [*map(str, evidence.other_key)],
            "named_in": [*map(str, self.named_in)],
            "remote": self.remote,
            "also": [*map(str, self.also)],
        }

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of leads that were erased, that were erased before, and that were not known."""
        store = self.store or ErasedLeads()
        erased = self.evidence.leads | store.leads
        before = len(store.suppressed_before - erased)
        unknown = len(self.lead_ids) - len(erased) - before
        return {"erased": len(erased), "erased_before": before, "not_known": unknown}

    def lines(self) -> Iterator[Message]:
        """What was erased, and what was not, in sentences."""
        evidence = self.evidence
        if len(self.lead_ids) > 1:
            counts = self.counts
            yield Message(
                "leads: {erased:,} erased, {erased_before:,} erased before, {not_known:,} not known",
                erased=counts["erased"],
                erased_before=counts["erased_before"],
                not_known=counts["not_known"],
            )
        yield self._of_store()
        for path, rows in self.training_data.items():
            yield Message("{path}: {rows:,} rows erased", path=path, rows=rows)
        for path, rows in evidence.tables.items():
            yield Message("{path}: renamed in {rows:,} rows", path=path, rows=rows)
        yield from (Message("{path}: renamed", path=path) for path in evidence.pages)
        yield from (Message("{path}: removed, no longer in use", path=path) for path in evidence.removed)
        if not evidence.tables and not evidence.pages and not evidence.removed:
            yield Message("evidence of models: does not know the lead")
        if evidence.other_key:
            yield Message(
                "{files}: not searched, for another key made their pseudonyms. Set {variable} to the file "
                "of that key and run this again, or delete them.",
                files=[*evidence.other_key],
                variable=KEY_FILE_VARIABLE,
            )
        yield from self._not_touched()

    def _of_store(self) -> Message:
        if self.store is None:
            return Message("{place}: there is no store yet", place=self.place)
        counts = [f"{name} {count:,}" for name, count in self.store.rows.items() if count]
        if not counts:
            return Message("{place}: holds nothing of the lead", place=self.place)
        return Message("{place}: erased rows: {counts}", place=self.place, counts=counts)

    def _not_touched(self) -> Iterator[Message]:
        yield Message(
            "Not touched: the CRM's own data. Erase the lead there too, or the next `hotlead train` sees it "
            "again; and delete it from lists that you made, such as those of `hotlead score`."
        )
        if self.named_in:
            yield Message("It is still named in {files}: delete these files.", files=list(self.named_in))
        if self.remote and self.also:
            yield Message(
                "Of MLflow at {url} these were searched: {folders}.", url=self.remote, folders=list(self.also)
            )
        elif self.remote:
            yield Message(
                "Not reached: the artifacts of MLflow at {url}. Where its artifact folder can be reached "
                "from here, run this again with --also FOLDER; else train and promote without the lead, then "
                "delete the older models there (docs/operations.md says how).",
                url=self.remote,
            )


def forget(
    settings: ServiceSettings,
    lead_ids: Sequence[str],
    also: Sequence[Path],
    environ: Mapping[str, str],
    patience: float = PATIENCE_SECONDS,
    may_return: bool = False,
) -> ForgetResult:
    """Erase leads from the store, and from the evidence below the output folder and in `also`.

    Unless they `may_return`, nothing of them is stored any more.

    Raises OutsideError when the store is unavailable for `patience` seconds or a file cannot be written,
    DataError when an evidence table cannot be read. A second call continues where the first one failed.
    """
    for folder in also:
        if not folder.is_dir():
            raise SettingsError("--also {folder}: there is no such folder.", folder=folder)
    pseudonyms = Pseudonyms.load(settings.pseudonym_key_file)
    store = _erase_from_store(settings, lead_ids, patience, may_return)
    erased = erase_leads((settings.out, *also), settings.bundles, lead_ids, pseudonyms)
    if erased.unreadable:
        raise DataError(
            "{names}: cannot be read, so the lead may still be in it. "
            "All else is erased. Delete it or train again, then run this again.",
            names=[*erased.unreadable],
        )
    training_data = erase_from_export(settings.out, lead_ids)
    named = find_files_with_ids(sorted(settings.out.rglob("*.csv")), lead_ids)
    remote = _remote_tracking_uri(settings, environ)
    return ForgetResult(lead_ids, settings.shown_store, store, erased, named, remote, also, training_data)


def find_inactive(settings: ServiceSettings, days: int, now: int) -> InactiveLeads:
    """The leads to which nothing has happened for so many days, at most `MAX_INACTIVE` of them.

    `now` is ms UTC. Raises OutsideError.
    """
    if not _store_exists(settings):
        return InactiveLeads([], 0)
    with _opened_store(settings) as store:
        return store.read(partial(find_inactive_leads, days=days, now=now, limit=MAX_INACTIVE))


def lift(settings: ServiceSettings, lead_ids: Sequence[str], patience: float = PATIENCE_SECONDS) -> int:
    """Let the service store erased leads again; how many of them were erased. Raises OutsideError."""
    if not _store_exists(settings):
        return 0
    with _opened_store(settings) as store:
        return _retry_while_unavailable(lambda: store.lift(lead_ids), patience)


def _erase_from_store(
    settings: ServiceSettings, lead_ids: Sequence[str], patience: float, may_return: bool
) -> ErasedLeads | None:
    if not _store_exists(settings):
        return None
    erased = ErasedLeads()
    with _opened_store(settings) as store:
        actor = command_actor()
        return _retry_while_unavailable(lambda: store.forget(lead_ids, erased, may_return, actor), patience)


@contextmanager
def _opened_store(settings: ServiceSettings) -> Iterator[Store]:
    """The store. Raises OutsideError where the block finds it unavailable."""
    try:
        with closing(open_store(settings)) as store:
            yield store
    except (StoreUnavailable, OSError) as problem:
        raise _unavailable_error(settings, problem) from None


_LOST_FILE = Message("its file is not there, yet predictions wait to be put into it")


def _store_exists(settings: ServiceSettings) -> bool:
    """Whether there is a store.

    Raises ConfirmationNeeded where the store of this installation is missing, and OutsideError when its file
    is lost but its queue is not.
    """
    check_store(settings)
    if has_store(settings):
        return True
    if DiskQueue(settings.spool, 0).waiting:
        raise _unavailable_error(settings, _LOST_FILE)
    return False


def _retry_while_unavailable(work: Callable[[], T], patience: float) -> T:
    """The result of `work`, retried while the store is busy or away. Raises StoreUnavailable in the end."""
    until = time.monotonic() + patience
    while True:
        try:
            return work()
        except StoreUnavailable as problem:
            if time.monotonic() + problem.retry_after > until:
                raise
            time.sleep(problem.retry_after)


def _unavailable_error(settings: ServiceSettings, why: object) -> OutsideError:
    return OutsideError(
        "The store at {url} is away ({why}). The lead is not erased, or not wholly: "
        "run this again when the store is back.",
        url=settings.shown_store,
        why=why,
    )


def _remote_tracking_uri(settings: ServiceSettings, environ: Mapping[str, str]) -> str | None:
    """The MLflow store without password; None when it is the one below the output folder."""
    tracking_uri = environ.get(_REMOTE)
    default_uri = f"sqlite:///{settings.out.resolve() / 'mlflow.db'}"
    return None if not tracking_uri or tracking_uri == default_uri else shown_url(tracking_uri)
