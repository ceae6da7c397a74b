"""Who looks at the pages: a signed cookie that names the key, and the token that each form must bring."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from features.clock import CLOCKS_DIFFER_MS
from features.files import atomic_file, load_or_make_secret
from serving.web import authentication as caller
from serving.web.api_keys import Key, KeyCache
from serving.web.authentication import LOOPBACK

COOKIE, HOURS, DAYS = "hotlead_session", 12, 7
"""A session ends after so many hours without a page, and in any case after so many days."""
KEPT_MARKS = 1_000
"""So many of the newest marks of ended sessions stay, whatever the clock says: it may be ahead."""
_DIGEST_LENGTH = 16
"""So much of a key's digest stands in the cookie: it ends with the key's secret, and tells nothing."""


@dataclass(frozen=True)
class Session:
    """A visit of somebody (`key` None: nobody yet), its token against forged forms, and when it began
    (seconds UTC)."""

    key: Key | None
    csrf: str
    since: int

    @staticmethod
    def begin(key: Key | None) -> Session:
        """A new one. Signing in begins anew: a cookie that was planted before is worth nothing."""
        return Session(key, secrets.token_urlsafe(24), int(time.time()))

    def is_token_valid(self, token: object) -> bool:
        """Whether a form brings this visit's own token."""
        expected = self.csrf.encode()
        return isinstance(token, str) and hmac.compare_digest(token.encode(errors="replace"), expected)


class SessionRedirect(RedirectResponse):
    """Sends the browser on, in a session that begins with it."""

    def __init__(self, session: Session, path: str) -> None:
        super().__init__(path, 303)
        self.session = session


class _CookieData(TypedDict, total=False):
    """The content of the cookie: a key's id and the start of its digest (neither for the local user)."""

    id: str
    digest: str
    csrf: str
    since: int


class Sessions:
    """Reads and writes the cookie. `secret_file` holds what signs it, for all workers."""

    def __init__(self, key_cache: KeyCache, secret_file: Path, open_on_loopback: bool) -> None:
        self._key_cache, self._file, self._open = key_cache, secret_file, open_on_loopback

    def load(self, request: Request) -> Session:
        """The session of a request; a new one of nobody, or of this machine where that comes in free."""
        cookie_data = self._read_cookie(request.cookies.get(cookie_name(request), ""))
        free = LOOPBACK if self._needs_no_key(request) else None
        if cookie_data is None:
            return Session.begin(free)
        key_id = cookie_data.get("id")
        key = self._key_cache.by_digest(key_id, cookie_data["digest"]) if key_id else free
        goes_on = key is not None or not key_id
        return Session(key, cookie_data["csrf"], cookie_data["since"]) if goes_on else Session.begin(None)

    def write(self, session: Session, request: Request, response: Response) -> None:
        """Put the session into a cookie that no script and no other site can use or, over TLS, replace."""
        key = session.key
        key_fields = {"id": key.id, "digest": key.digest[:_DIGEST_LENGTH]} if key and key != LOOPBACK else {}
        cookie_data = {**key_fields, "csrf": session.csrf, "since": session.since}
        is_https = _is_https(request)
        response.set_cookie(
            cookie_name(request),
            str(self._signer.dumps(cookie_data)),
            max_age=HOURS * 3600,
            path="/" if is_https else "/review",  # browsers take a __Host- cookie for the whole host alone
            httponly=True,
            samesite="lax",
            secure=is_https,
        )

    def end(self, session: Session) -> None:
        """No copy of this session's cookie is let in again. Raises OutsideError."""
        if session.key is None:  # nobody's: there is nothing to let in, and no mark for strangers to make
            return
        self._delete_old_marks()
        with atomic_file(self._mark(session.csrf)) as file:
            file.write_bytes(b"")

    def _delete_old_marks(self) -> None:
        """Drop the marks of sessions whose cookies have ended by themselves."""
        times: list[tuple[float, Path]] = []
        for mark in self._ended_folder.glob("*"):
            with suppress(FileNotFoundError):  # another worker was first
                times.append((mark.stat().st_mtime, mark))
        for time_s, mark in sorted(times)[:-KEPT_MARKS]:
            if time_s < time.time() - DAYS * 86_400:
                mark.unlink(missing_ok=True)

    @property
    def _ended_folder(self) -> Path:
        return self._file.with_name("sessions-ended")

    def _mark(self, csrf: str) -> Path:
        """What tells that a session has ended: a file, for all workers."""
        return self._ended_folder / hashlib.sha256(csrf.encode()).hexdigest()[:32]

    def _read_cookie(self, cookie: str) -> _CookieData | None:
        """What a cookie that we signed tells."""
        try:
            cookie_data: _CookieData
            cookie_data, signed_at = self._signer.loads(cookie, return_timestamp=True)
        except BadSignature:
            return None
        now = time.time()
        # A clock that is set back a little ends no session.
        is_current = -CLOCKS_DIFFER_MS / 1000 <= now - signed_at.timestamp() <= HOURS * 3600
        is_fresh = is_current and now < cookie_data.get("since", 0) + DAYS * 86_400
        return cookie_data if is_fresh and not self._mark(cookie_data["csrf"]).exists() else None

    def _needs_no_key(self, request: Request) -> bool:
        headers = dict(request.headers.raw)
        return (
            self._open and self._key_cache.was_never_used and caller.is_local_program(request.scope, headers)
        )

    @cached_property
    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(load_or_make_secret(self._file), salt="review")


def cookie_name(request: Request) -> str:
    """The name of the cookie. Over TLS it has the prefix with which browsers let neither plain HTTP nor
    another host of the domain set it."""
    return f"__Host-{COOKIE}" if _is_https(request) else COOKIE


def _is_https(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to what stands in front. Who claims it falsely gets a cookie
    that their own browser keeps to itself."""
    scheme = request.headers.get("x-forwarded-proto", request.scope["scheme"])
    return scheme.partition(",")[0].strip().lower() == "https"
