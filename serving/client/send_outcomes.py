"""What `hotlead outcomes` does: read a file of closed deals, send them, set aside what was not taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.crm.rejects import Reject
from features.errors import SettingsError
from features.settings import CrmSettings
from serving.client.closed_deals_file import ClosedDeals, read_closed
from serving.client.sender import Refused, Sender, Sent, is_near, open_client

REJECTS = "outcomes-rejects.csv"
KEY = "HOTLEAD_KEY"
_AT_ODDS = "is in the service with other content; a higher version corrects it"
_SHOWN = 5


@dataclass(frozen=True)
class Reported:
    """A file that was sent; `rejects` names each row that was not taken, and why."""

    deals: ClosedDeals
    sent: Sent
    rejects: Path

    def plain(self) -> dict[str, Any]:
        """Counts of rows for JSON, and the ids of the deals at odds."""
        sent = self.sent
        return {
            "read": self.deals.read,
            "stored": sent.stored,
            "known": sent.known,
            "kept": sent.kept,
            "still_open": self.deals.still_open,
            "at_odds": len(sent.at_odds),
            "set_aside": self._set_aside,
            "at_odds_ids": self._ids,
            "rejects": str(self.rejects) if self.rejects.exists() else None,
        }

    def lines(self) -> Iterator[str]:
        """What became of the rows, in sentences."""
        sent = self.sent
        yield (
            f"Of {self.deals.read:,} rows {sent.stored:,} were stored and {sent.known:,} known already; "
            f"{self.deals.still_open:,} are still open or to be ignored, {self._set_aside:,} were set aside."
        )
        if sent.kept:
            yield f"{sent.kept:,} more, of lists with deals at odds, are stored, now or from before."
        if sent.at_odds:
            shown = ", ".join(self._ids[:_SHOWN])
            more = f" and {len(self._ids) - _SHOWN:,} more" if len(self._ids) > _SHOWN else ""
            yield (
                f"At odds with what was sent before under the same id, and not taken: "
                f"{len(self._ids):,} ({shown}{more})."
            )

    def next_steps(self) -> Iterator[str]:
        """What to do."""
        if self.sent.at_odds:
            yield (
                "give the deals at odds a column `version` with a higher number (2 for a first correction), "
                "and send them again"
            )
        if self._set_aside:
            yield f"mend the rows that {self.rejects} names and send the file again"
        yield "the call list (GET /v1/hot) now leaves out the leads of these deals"

    @property
    def _set_aside(self) -> int:
        return self.deals.rejects.left_out("deals") - len(self.sent.at_odds)

    @property
    def _ids(self) -> list[str]:
        return [_id(self.deals, one) for one in self.sent.at_odds]


def send_file(
    file: Path,
    settings: CrmSettings,
    url: str,
    key: str | None,
    out: Path,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Reported:
    """Send a file of closed deals to the service at `url`.

    Raises DataError where more rows cannot be read than max_reject_share allows (nothing is sent
    then), and what `read_closed` and `Sender` raise.
    """
    with open_client(url, key) as client:
        if key and client.base_url.scheme == "http" and not is_near(url):
            say(f"the key goes to {client.base_url.host} unencrypted: use https")
        say(f"reading {file}")
        deals, rejects = read_closed(file, settings), out / REJECTS
        say("taking " + ", ".join(f"{name} from {c}" for name, c in deals.columns.items()))
        deals.rejects.check(settings.max_reject_share, rejects)
        say(f"sending {len(deals.bodies):,} closed deals to {client.base_url.host}")
        sender = Sender(client, say)
        try:
            sender.send(deals.bodies, progress)
        finally:
            _set_aside(deals, sender.told)
            deals.rejects.write(rejects)
    return Reported(deals, sender.told, rejects)


def read_key(key_file: Path | None, environ: Mapping[str, str]) -> str | None:
    """The API key: of the file, else of HOTLEAD_KEY; None where neither is given.

    Raises SettingsError for a file that cannot be read.
    """
    if key_file is None:
        return environ.get(KEY) or None
    try:
        told = key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is not text"
        raise SettingsError(f"--key-file {key_file}: cannot be read ({why}).") from None
    if not told:
        raise SettingsError(f"--key-file {key_file}: is empty. `hotlead keys add` makes a key.")
    return told


def _set_aside(deals: ClosedDeals, sent: Sent) -> None:
    """What the service did not take, beside what could not be read."""
    told = deals.rejects.rows
    told.extend(_reject(deals, one, "id", _id(deals, one), _AT_ODDS) for one in sent.at_odds)
    for one in sent.refused:
        why = f"the service does not take it; allowed is {one.allowed}"
        told.append(_reject(deals, one, one.field, one.got, why))


def _reject(deals: ClosedDeals, one: Refused, field: str, value: str, why: str) -> Reject:
    file, row = deals.rows.place(int(deals.rows.numbers[one.place]))
    return Reject("deals", file, row, deals.columns.get(field, field), value, why)


def _id(deals: ClosedDeals, one: Refused) -> str:
    """The sender's id of a deal, or its lead where it has none."""
    body = deals.bodies[one.place]
    return str(body.get("id") or f"lead {body['lead_id']}")
