"""`hotlead outcomes`: reads a file of closed deals, sends them, and writes the rejected rows to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from features.crm.rejects import Reject
from features.errors import SettingsError
from features.kinds import Language
from features.messages import Message, ReportStep, abridge, as_message
from features.settings import CrmSettings
from serving.client.closed_deals_file import ClosedDeals, read_closed_deals
from serving.client.sender import OutcomeSender, RejectedDeal, SendResult, is_loopback_url, open_client

REJECTS = "outcomes-rejects.csv"
KEY = "HOTLEAD_KEY"
_CONFLICT = Message("is in the service with other content; a higher version corrects it")
_SHOWN = 5


@dataclass(frozen=True)
class SendReport:
    """The result of a file; `rejects` is the CSV of the rows that were rejected, with the reasons."""

    deals: ClosedDeals
    result: SendResult
    rejects: Path

    def to_dict(self) -> dict[str, object]:
        """Counts of rows and the ids of conflicting deals, as JSON values."""
        result = self.result
        return {
            "read": self.deals.read,
            "stored": result.stored,
            "known": result.already_known,
            "kept": result.new_or_known,
            "suppressed": result.suppressed,
            "still_open": self.deals.still_open,
            "at_odds": len(result.conflicts),
            "set_aside": self._rejected_count,
            "at_odds_ids": self._conflict_ids,
            "rejects": str(self.rejects) if self.rejects.exists() else None,
        }

    def lines(self) -> Iterator[Message]:
        result = self.result
        yield Message(
            "Of {read:,} rows {stored:,} were stored and {known:,} known already; {still_open:,} are still "
            "open or to be ignored, {rejected:,} were set aside.",
            read=self.deals.read,
            stored=result.stored,
            known=result.already_known,
            still_open=self.deals.still_open,
            rejected=self._rejected_count,
        )
        if result.new_or_known:
            yield Message(
                "{count:,} more, of lists with conflicts, are stored, now or from before.",
                count=result.new_or_known,
            )
        if result.suppressed:
            yield Message(
                "{count:,} are of leads that were erased, and were not stored.", count=result.suppressed
            )
        if result.conflicts:
            yield Message(
                "In conflict with what was sent before under the same id, and not taken: {count:,} ({ids}).",
                count=len(result.conflicts),
                ids=abridge(self._conflict_ids, _SHOWN),
            )

    def next_steps(self) -> Iterator[Message]:
        if self.result.conflicts:
            yield Message(
                "give the conflicting deals a column `version` with a higher number (2 for a first "
                "correction), and send them again"
            )
        if self._rejected_count:
            yield Message("mend the rows that {file} names and send the file again", file=self.rejects)
        yield Message("the call list (GET /v1/hot) now leaves out the leads of these deals")

    @property
    def _rejected_count(self) -> int:
        return self.deals.rejects.count_left_out("deals") - len(self.result.conflicts)

    @property
    def _conflict_ids(self) -> list[str]:
        return [_deal_id(self.deals, one) for one in self.result.conflicts]


def send_file(
    file: Path,
    settings: CrmSettings,
    url: str,
    key: str | None,
    out: Path,
    report_status: ReportStep,
    progress: Callable[[int, int], None],
    lang: Language = "en",
) -> SendReport:
    """Send a file of closed deals to the service at `url`.

    Raises DataError, and sends nothing, when more rows are unreadable than max_reject_share allows; else as
    `read_closed_deals` and `OutcomeSender.send`.
    """
    with open_client(url, key) as client:
        if key and client.base_url.scheme == "http" and not is_loopback_url(url):
            host = client.base_url.host
            report_status(Message("the key goes to {host} unencrypted: use https", host=host))
        report_status(Message("reading {file}", file=file))
        deals, rejects = read_closed_deals(file, settings), out / REJECTS
        pairs = [Message("{name} from {column}", name=n, column=c) for n, c in deals.columns.items()]
        report_status(Message("taking {pairs}", pairs=pairs))
        deals.rejects.check(settings.max_reject_share, rejects, lang=lang)
        count, host = len(deals.bodies), client.base_url.host
        report_status(Message("sending {count:,} closed deals to {host}", count=count, host=host))
        sender = OutcomeSender(client, report_status)
        try:
            sender.send(deals.bodies, progress)
        finally:
            _add_rejects(deals, sender.result)
            deals.rejects.write(rejects, lang)
    return SendReport(deals, sender.result, rejects)


def read_key(key_file: Path | None, environ: Mapping[str, str]) -> str | None:
    """The API key in the file, else in HOTLEAD_KEY; None when there is neither.

    Raises SettingsError for an unreadable file.
    """
    if key_file is None:
        return environ.get(KEY) or None
    try:
        text = key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        why = as_message(getattr(problem, "strerror", None) or Message("it is not text"))
        raise SettingsError("--key-file {file}: cannot be read ({why}).", file=key_file, why=why) from None
    if not text:
        raise SettingsError("--key-file {file}: is empty. `hotlead keys add` makes a key.", file=key_file)
    return text


def _add_rejects(deals: ClosedDeals, result: SendResult) -> None:
    """Add the deals that the service rejected to the rows that could not be read."""
    reject_rows = deals.rejects.rows
    for one in result.conflicts:
        reject_rows.append(_to_reject(deals, one, "id", _deal_id(deals, one), _CONFLICT))
    for one in result.rejected:
        why = Message("the service does not take it; allowed is {allowed}", allowed=one.allowed)
        reject_rows.append(_to_reject(deals, one, one.field, one.received, why))


def _to_reject(
    deals: ClosedDeals, one: RejectedDeal, field: str, value: Message | str, why: Message
) -> Reject:
    file, row = deals.rows.locate(int(deals.rows.numbers[one.position]))
    return Reject("deals", file, row, deals.columns.get(field, field), value, why)


def _deal_id(deals: ClosedDeals, one: RejectedDeal) -> str:
    """The sender's id of a deal, else its lead."""
    body = deals.bodies[one.position]
    return str(body.get("id") or f"lead {body['lead_id']}")
