"""Sending closed deals to the service: in lists, again where it cannot take them now, each told once."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpx

from features.errors import HotleadError, OutsideError, SettingsError

LIST_ROWS = 1_000
PATH = "/v1/outcomes"
_LATER = frozenset({429, 502, 503, 504})
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0
_PLACE = re.compile(r"body\[(\d+)\]\.?(.*)")

Body = dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """A deal that the service does not take: its place among those sent, and why."""

    place: int
    field: str
    got: str
    allowed: str


@dataclass
class Sent:
    """What became of the deals. `kept` are stored, now or before: the service did not say which."""

    stored: int = 0
    known: int = 0
    kept: int = 0
    at_odds: list[Refused] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass
class Sender:
    """Sends to one service. `say` is told of each wait.

    What was answered before is tried again for `patience` seconds, what never answered for
    `at_first` seconds. Trying again is safe: the service takes a deal once.
    """

    client: httpx.Client
    say: Callable[[str], None]
    patience: float = 120.0
    at_first: float = 4.0
    sleep: Callable[[float], None] = time.sleep
    told: Sent = field(default_factory=Sent)
    _answered: bool = False

    def send(self, bodies: Sequence[Body], progress: Callable[[int, int], None]) -> Sent:
        """Send all deals. Raises SettingsError for a key or URL that does not hold, OutsideError
        where the service is away for too long."""
        for start in range(0, len(bodies), LIST_ROWS):
            end = min(start + LIST_ROWS, len(bodies))
            self._send(bodies, range(start, end))
            progress(end, len(bodies))
        return self.told

    def _send(self, bodies: Sequence[Body], places: Sequence[int], again: bool = False) -> None:
        """Send a list; `again`: it stands for one of which a part was stored already."""
        if not places:
            return
        answer = self._asked(json.dumps([bodies[at] for at in places], ensure_ascii=False))
        match answer.status_code:
            case 200 | 201:
                self._taken(answer, again)
            case 409:
                self._at_odds(bodies, places, answer)
            case 422:
                self._refused(bodies, places, answer, again)
            case 413:
                self._halved(bodies, places, again, "the whole deal", "a smaller one")
            case _:
                raise _problem(answer)

    def _taken(self, answer: httpx.Response, again: bool) -> None:
        try:
            outcomes = [result["outcome"] for result in answer.json()["results"]]
        except (ValueError, LookupError, TypeError):
            raise _no_hotlead(answer) from None
        stored = outcomes.count("stored")
        if again:
            self.told.kept += len(outcomes)
        else:
            self.told.stored += stored
            self.told.known += len(outcomes) - stored

    def _at_odds(self, bodies: Sequence[Body], places: Sequence[int], answer: httpx.Response) -> None:
        """All others of the list are stored; where more are at odds than are told, those are asked for."""
        found = _errors(answer, places)
        if not found:
            raise _problem(answer)
        self.told.at_odds += found
        rest = _without(places, found)
        if answer.json().get("more_errors"):
            self._send(bodies, rest, again=True)
        else:
            self.told.kept += len(rest)

    def _refused(
        self, bodies: Sequence[Body], places: Sequence[int], answer: httpx.Response, again: bool
    ) -> None:
        """Nothing of the list was stored: send it without what does not hold."""
        found = _errors(answer, places)
        if not found:
            self._halved(bodies, places, again, "the whole deal", _detail(answer))
            return
        self.told.refused += found
        self._send(bodies, _without(places, found), again)

    def _halved(
        self, bodies: Sequence[Body], places: Sequence[int], again: bool, got: str, allowed: str
    ) -> None:
        if len(places) == 1:
            self.told.refused.append(Refused(places[0], "", got, allowed))
            return
        middle = len(places) // 2
        for half in (places[:middle], places[middle:]):
            self._send(bodies, half, again)

    def _asked(self, body: str) -> httpx.Response:
        """The first answer that is one. Raises OutsideError after too long without."""
        began, headers = time.monotonic(), {"Content-Type": "application/json"}
        for wait in _waits():
            try:
                answer = self.client.post(PATH, content=body.encode(), headers=headers)
            except httpx.TransportError as problem:
                why, asked = _why(problem), None
            else:
                self._answered = True
                if answer.status_code not in _LATER:
                    return answer
                why, asked = f"it says {answer.status_code}, {_detail(answer)}", _retry(answer)
            pause = wait if asked is None else asked
            limit = self.patience if self._answered else self.at_first
            if time.monotonic() + pause > began + limit:
                raise self._away(why)
            self.say(f"the service cannot take it now ({why}); trying again in {pause:.2g} s")
            self.sleep(pause)
        raise AssertionError

    def _away(self, why: str) -> OutsideError:
        done = self.told.stored + self.told.known + self.told.kept
        return OutsideError(
            f"The service at {_shown(self.client)} is not there ({why}). {done:,} deals are in it. Start it "
            "(`hotlead serve`), then send the same file again: nothing is stored twice."
        )


def open_client(url: str, key: str | None) -> httpx.Client:
    """A client for the service at a URL. Raises SettingsError for a URL or a key that cannot be one."""
    try:
        told = httpx.URL(url)
    except httpx.InvalidURL:
        told = httpx.URL("")
    if told.scheme not in ("http", "https") or not told.host:
        raise SettingsError(
            f"--url {url.rpartition('@')[2]!r} is no URL of a service; say such as http://127.0.0.1:3000."
        )
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key and key):
        raise SettingsError(
            "The API key holds a character that no key has. Look at --key-file or HOTLEAD_KEY."
        )
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    # A proxy of the company leads to other machines, not to this one.
    patience = httpx.Timeout(60.0, connect=5.0)
    return httpx.Client(base_url=told, headers=headers, timeout=patience, trust_env=not is_near(url))


def is_near(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _waits() -> Iterator[float]:
    wait = _FIRST_WAIT
    while True:
        yield wait
        wait = min(2 * wait, _LONGEST_WAIT)


def _errors(answer: httpx.Response, places: Sequence[int]) -> list[Refused]:
    """The deals that an answer names, one error each."""
    found: dict[int, Refused] = {}
    for error in _json(answer).get("errors", ()):
        match = _PLACE.fullmatch(str(error.get("path")))
        if match and int(match[1]) < len(places):
            at = places[int(match[1])]
            told = Refused(at, match[2], str(error.get("got")), str(error.get("allowed")))
            found.setdefault(at, told)
    return list(found.values())


def _without(places: Sequence[int], found: Sequence[Refused]) -> list[int]:
    gone = {one.place for one in found}
    return [at for at in places if at not in gone]


def _problem(answer: httpx.Response) -> HotleadError:
    """An answer that ends it all, in a sentence."""
    status, detail = answer.status_code, _detail(answer)
    if status in (401, 403):
        sent = "authorization" in answer.request.headers
        which = "does not take this API key" if sent else "wants an API key"
        return SettingsError(
            f"The service {which} ({status}: {detail}) Name a key of the role crm with --key-file FILE or "
            "the environment variable HOTLEAD_KEY; `hotlead keys list` shows which there are."
        )
    if status in (404, 405) or answer.is_redirect:
        return _no_hotlead(answer)
    request = answer.headers.get("x-request-id", "unknown")
    return OutsideError(
        f"The service answers {status}: {detail} Its log tells more under the request id {request}. Then "
        "send the same file again: nothing is stored twice."
    )


def _no_hotlead(answer: httpx.Response) -> SettingsError:
    where = answer.request.url
    return SettingsError(
        f"{where.scheme}://{where.netloc.decode()} answers {answer.status_code}, not as Hotlead does. Give "
        "its URL with --url."
    )


def _detail(answer: httpx.Response) -> str:
    return str(_json(answer).get("detail") or answer.reason_phrase)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _retry(answer: httpx.Response) -> float | None:
    """Retry-After in seconds; None where it is absent, or a date."""
    told = answer.headers.get("retry-after", "")
    return float(told) if re.fullmatch(r"\d+(\.\d+)?", told) else None


def _why(problem: httpx.TransportError) -> str:
    return str(problem) or type(problem).__name__


def _shown(client: httpx.Client) -> str:
    return f"{client.base_url.scheme}://{client.base_url.netloc.decode()}"
