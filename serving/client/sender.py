"""Sends closed deals to the service in lists, and retries while it is unavailable."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import httpx

from features.errors import HotleadError, OutsideError, SettingsError
from features.messages import Message, ReportStep, as_message

LIST_ROWS = 1_000
PATH = "/v1/outcomes"
_LATER = frozenset({429, 502, 503, 504})
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0
_PLACE = re.compile(r"body\[(\d+)\]\.?(.*)")

OutcomeBody = dict[str, object]


@dataclass(frozen=True)
class RejectedDeal:
    """A deal that the service rejects: its index among those sent, and the error of a field."""

    position: int
    field: str
    received: Message | str
    allowed: Message | str


@dataclass
class SendResult:
    """Counts and errors. `new_or_known` deals are in the service, which did not say since when; `suppressed`
    ones are of erased leads, and not stored."""

    stored: int = 0
    already_known: int = 0
    new_or_known: int = 0
    suppressed: int = 0
    conflicts: list[RejectedDeal] = field(default_factory=list)
    rejected: list[RejectedDeal] = field(default_factory=list)


@dataclass
class OutcomeSender:
    """Sends to one service; `report_status` is called before each wait.

    A request is retried for `patience` seconds, for `initial_patience` seconds while the service has never
    answered. Retrying is safe because the service stores a deal once.
    """

    client: httpx.Client
    report_status: ReportStep
    patience: float = 120.0
    initial_patience: float = 4.0
    sleep: Callable[[float], None] = time.sleep
    result: SendResult = field(default_factory=SendResult)
    _bodies: Sequence[OutcomeBody] = ()
    _answered: bool = False

    def send(self, bodies: Sequence[OutcomeBody], progress: Callable[[int, int], None]) -> SendResult:
        """Send all deals; `progress` gets the number sent and the total.

        Raises SettingsError for a wrong key or URL, OutsideError when the service stays unavailable.
        """
        self._bodies = bodies
        for start in range(0, len(bodies), LIST_ROWS):
            end = min(start + LIST_ROWS, len(bodies))
            self._send(range(start, end))
            progress(end, len(bodies))
        return self.result

    def _send(self, positions: Sequence[int], partly_stored: bool = False) -> None:
        """Send the deals at some positions; `partly_stored`: an earlier request has stored some of them."""
        if not positions:
            return
        answer = self._post_with_retry(json.dumps([self._bodies[p] for p in positions], ensure_ascii=False))
        match answer.status_code:
            case 200 | 201:
                self._count_accepted(answer, partly_stored)
            case 409:
                self._handle_conflicts(positions, answer)
            case 422:
                self._handle_rejected(positions, answer, partly_stored)
            case 413:
                self._send_halves(positions, partly_stored, Message("a smaller one"))
            case _:
                raise _to_error(answer)

    def _count_accepted(self, answer: httpx.Response, partly_stored: bool) -> None:
        try:
            outcomes = [result["outcome"] for result in answer.json()["results"]]
        except (ValueError, LookupError, TypeError):
            raise _not_hotlead_error(answer) from None
        stored, suppressed = outcomes.count("stored"), outcomes.count("suppressed")
        self.result.suppressed += suppressed
        if partly_stored:
            self.result.new_or_known += len(outcomes) - suppressed
        else:
            self.result.stored += stored
            self.result.already_known += len(outcomes) - stored - suppressed

    def _handle_conflicts(self, positions: Sequence[int], answer: httpx.Response) -> None:
        """Set the conflicting deals aside. The others are stored, unless the answer left conflicts out."""
        errors = _parse_errors(answer, positions)
        if not errors:
            raise _to_error(answer)
        self.result.conflicts += errors
        rest = _remove_rejected(positions, errors)
        if answer.json().get("more_errors"):
            self._send(rest, partly_stored=True)
        else:
            self.result.new_or_known += len(rest)

    def _handle_rejected(self, positions: Sequence[int], answer: httpx.Response, partly_stored: bool) -> None:
        """Set the invalid deals aside and send the others: of such a list the service stores none."""
        errors = _parse_errors(answer, positions)
        if not errors:
            self._send_halves(positions, partly_stored, _detail(answer))
            return
        self.result.rejected += errors
        self._send(_remove_rejected(positions, errors), partly_stored)

    def _send_halves(self, positions: Sequence[int], partly_stored: bool, allowed: Message | str) -> None:
        """Halve a list whose answer names no deal, until the deal that is rejected is alone."""
        if len(positions) == 1:
            self.result.rejected.append(RejectedDeal(positions[0], "", Message("the whole deal"), allowed))
            return
        middle = len(positions) // 2
        self._send(positions[:middle], partly_stored)
        self._send(positions[middle:], partly_stored)

    def _post_with_retry(self, body: str) -> httpx.Response:
        """The first answer that is final. Raises OutsideError when none comes in time."""
        began, headers = time.monotonic(), {"Content-Type": "application/json"}
        wait = _FIRST_WAIT
        while True:
            try:
                answer = self.client.post(PATH, content=body.encode(), headers=headers)
            except httpx.TransportError as problem:
                why, retry_after = as_message(str(problem) or type(problem).__name__), None
            else:
                self._answered = True
                if answer.status_code not in _LATER:
                    return answer
                why = Message("it says {status}, {detail}", status=answer.status_code, detail=_detail(answer))
                retry_after = _parse_retry_after(answer)
            pause = wait if retry_after is None else retry_after
            wait = min(2 * wait, _LONGEST_WAIT)
            limit = self.patience if self._answered else self.initial_patience
            if time.monotonic() + pause > began + limit:
                raise self._unavailable_error(why)
            self.report_status(
                Message(
                    "the service cannot take it now ({why}); trying again in {pause:.2g} s",
                    why=why,
                    pause=pause,
                )
            )
            self.sleep(pause)

    def _unavailable_error(self, why: Message) -> OutsideError:
        delivered = self.result.stored + self.result.already_known + self.result.new_or_known
        return OutsideError(
            "The service at {origin} is not there ({why}). {delivered:,} deals are "
            "in it. Start it (`hotlead serve`), then send the same file again: nothing is stored twice.",
            origin=_origin(self.client.base_url),
            why=why,
            delivered=delivered,
        )


def open_client(url: str, key: str | None) -> httpx.Client:
    """An HTTP client for the service at a URL. Raises SettingsError for an invalid URL or key."""
    try:
        parsed_url = httpx.URL(url)
    except httpx.InvalidURL:
        parsed_url = httpx.URL("")
    if parsed_url.scheme not in ("http", "https") or not parsed_url.host:
        raise SettingsError(
            "--url {url!r} is no URL of a service; say such as http://127.0.0.1:3000.",
            url=url.rpartition("@")[2],
        )
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key and key):
        raise SettingsError(
            "The API key holds a character that no key has. Look at --key-file or HOTLEAD_KEY."
        )
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    patience = httpx.Timeout(60.0, connect=5.0)
    by_proxy = not is_loopback_url(url)  # a proxy of the environment leads to other machines
    return httpx.Client(base_url=parsed_url, headers=headers, timeout=patience, trust_env=by_proxy)


def is_loopback_url(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_errors(answer: httpx.Response, positions: Sequence[int]) -> list[RejectedDeal]:
    """The deals that an answer names, with the first error of each."""
    rejected: dict[int, RejectedDeal] = {}
    errors = _parse_json(answer).get("errors")
    for error in errors if isinstance(errors, list) else ():
        match = _PLACE.fullmatch(str(error.get("path")))
        if match and int(match[1]) < len(positions):
            position = positions[int(match[1])]
            rejected_deal = RejectedDeal(position, match[2], str(error.get("got")), str(error.get("allowed")))
            rejected.setdefault(position, rejected_deal)
    return list(rejected.values())


def _remove_rejected(positions: Sequence[int], errors: Sequence[RejectedDeal]) -> list[int]:
    rejected = {one.position for one in errors}
    return [position for position in positions if position not in rejected]


def _to_error(answer: httpx.Response) -> HotleadError:
    """The error for an answer that no retry can change."""
    status, detail = answer.status_code, _detail(answer)
    if status in (401, 403):
        has_key = "authorization" in answer.request.headers
        return SettingsError(
            "{refusal} ({status}: {detail}) Name a key of the role crm with --key-file FILE or "
            "the environment variable HOTLEAD_KEY; `hotlead keys list` shows which there are.",
            refusal=Message(
                "The service does not take this API key" if has_key else "The service wants an API key"
            ),
            status=status,
            detail=detail,
        )
    if status in (404, 405) or answer.is_redirect:
        return _not_hotlead_error(answer)
    request = answer.headers.get("x-request-id", "unknown")
    return OutsideError(
        "The service answers {status}: {detail} Its log tells more under the request id {request}. Then "
        "send the same file again: nothing is stored twice.",
        status=status,
        detail=detail,
        request=request,
    )


def _not_hotlead_error(answer: httpx.Response) -> SettingsError:
    return SettingsError(
        "{origin} answers {status}, not as Hotlead does. Give its URL with --url.",
        origin=_origin(answer.request.url),
        status=answer.status_code,
    )


def _detail(answer: httpx.Response) -> str:
    return str(_parse_json(answer).get("detail") or answer.reason_phrase)


def _parse_json(answer: httpx.Response) -> dict[str, object]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _parse_retry_after(answer: httpx.Response) -> float | None:
    """Retry-After in seconds; None when it is missing or a date."""
    header = answer.headers.get("retry-after", "")
    return float(header) if re.fullmatch(r"\d+(\.\d+)?", header) else None


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"
