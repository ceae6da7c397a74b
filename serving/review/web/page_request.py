"""One request of one person to the pages: what its handler may read, change and answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy.engine import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from features.kinds import Language
from features.settings import CrmSettings
from scoring.decision.scorer import Scorer
from serving.components import Components
from serving.leads.lead_facts import UnknownLead
from serving.leads.mirrors import OverrideMirror
from serving.leads.to_records import parse_record
from serving.predictions.live_model import LiveModel
from serving.predictions.predictor import ScoreOptions
from serving.review.charts.charts import PageChart
from serving.review.charts.render import render_svg
from serving.review.web.cache import StaleWhileRevalidateCache
from serving.review.web.context import PageContext
from serving.review.web.forms import NOTE_LENGTH, with_message
from serving.review.web.rendering import build_nav, render, success_message
from serving.review.web.session import Session
from serving.review.web.translations import translate_page
from serving.settings import ServiceSettings
from serving.store.records import RecordKind
from serving.store.store import Store, StoreUnavailable
from serving.web import permissions as access
from serving.web.api_keys import Key
from serving.web.field_errors import InvalidFields
from serving.web.problems import Problem, bad_request, content_too_large

T = TypeVar("T")
MAX_FORM_BYTES, MAX_FIELDS = 2**20, 5_000
CSRF = "csrf"


@dataclass(frozen=True)
class PageRequest:
    """A request, who sends it, in what language, and when (ms UTC)."""

    components: Components
    cache: StaleWhileRevalidateCache
    request: Request
    session: Session
    lang: Language
    now: int

    @property
    def key(self) -> Key:
        """Who is signed in. The site lets nobody else come this far."""
        assert self.session.key is not None
        return self.session.key

    @property
    def crm(self) -> CrmSettings:
        """The settings of the company's CRM."""
        return self.components.crm

    @property
    def zone(self) -> ZoneInfo:
        """The company's time zone."""
        return self.components.crm.zone

    @property
    def settings(self) -> ServiceSettings:
        """The settings of the service."""
        return self.components.settings

    @property
    def store(self) -> Store:
        """The store of leads, scores and records."""
        return self.components.store

    @property
    def overrides(self) -> OverrideMirror:
        """The decisions of people that replace a score."""
        return self.components.overrides

    @property
    def live_model(self) -> LiveModel:
        """The model and scorecard in use, and where the model comes from."""
        return self.components.model_watcher.live_model

    @property
    def scorer(self) -> Scorer:
        """Scores leads by the model and scorecard in use."""
        return self.components.model_watcher.live_model.scorer

    @property
    def path(self) -> str:
        """The path of the request, without host and query."""
        return str(self.request.scope["path"])

    def translate(self, name: str, /, **values: object) -> str:
        """A text of the pages, in the reader's language."""
        return translate_page(name, self.lang, **values)

    def is_allowed(self, method: str, path: str) -> bool:
        """Whether this person may do that: what they may not is not shown to them either."""
        key = self.session.key
        return key is not None and access.is_allowed(key.role, method, access.find_route(path))

    def html(self, template: str, status: int = 200, /, **values: object) -> Response:
        """A page made from a template."""
        return render(template, status, self._context(), values)

    def _context(self) -> PageContext:
        query = self.request.query_params
        return PageContext(
            lang=self.lang,
            zone=self.zone,
            company=self.crm.name,
            csrf=self.session.csrf,
            method=self.request.method,
            path=self.path,
            query=query,
            nav=build_nav(self.path, lambda path: self.is_allowed("GET", path)),
            key=self.session.key,
            message=success_message(query, self.lang),
            now=self.now,
        )

    async def draw_charts(self, charts: Iterable[PageChart]) -> None:
        """Draw the charts that the page is going to show, outside the event loop; they are kept."""
        await asyncio.to_thread(lambda: [render_svg(chart) for chart in charts])

    def length_error(self, text: str) -> str | None:
        """What is wrong with a text that people typed, where it is longer than they read."""
        if len(text) <= NOTE_LENGTH:
            return None
        return self.translate("site_too_long", most=NOTE_LENGTH, count=len(text))

    def refusal_errors(self, error: InvalidFields) -> dict[str, str]:
        """The invalid fields of a record, by name, in words for the reader."""
        return {e.path.rpartition(".")[2]: self.translate("site_refused") for e in error.errors}

    def redirect(self, path: str, message_key: str | None = None) -> Response:
        """Send the browser to a page, which says the text of `message_key`."""
        return RedirectResponse(with_message(path, message_key), 303)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` reads from the store. Raises StoreUnavailable."""
        return await asyncio.to_thread(self.components.store.read, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` does in one transaction, on the disk afterwards. Raises StoreUnavailable."""
        return await asyncio.to_thread(self.components.store.write, work)

    async def store_record(self, kind: RecordKind, body: Mapping[str, object]) -> None:
        """Store a record as the API does; the same one twice is stored once. Raises InvalidFields and
        StoreUnavailable."""
        digest = hashlib.sha256(orjson.dumps([kind, body])).hexdigest()[:24]
        identified = {"id": f"page-{digest}", **body}
        record = parse_record(kind, identified, self.components.schema, self.now)
        await self.components.intake.accept(kind, [record])

    async def rescore_lead(self, lead_id: str) -> None:
        """Score a lead again, so that lists follow what was just recorded; a failure is no error."""
        with suppress(UnknownLead, StoreUnavailable):
            await self.components.predictor.predict(lead_id, ScoreOptions(now=self.now))

    async def cached(self, key: Hashable, seconds: float, work: Callable[[], T]) -> tuple[T, int]:
        """A figure that takes long, and when it was computed (ms UTC). Raises StoreUnavailable."""
        return await self.cache.get(key, seconds, work)

    async def form(self) -> FormData:
        """The fields of a form that our own page sent. Raises Problem: 400, 403, 413."""
        if len(await self.request.body()) > MAX_FORM_BYTES:
            raise content_too_large(MAX_FORM_BYTES)
        try:
            form = await self.request.form(max_fields=MAX_FIELDS, max_files=0)
        except Exception:
            raise bad_request("The form cannot be read.") from None
        if not self.session.is_token_valid(form.get(CSRF)) or not _is_same_site(self.request):
            raise Problem(
                403,
                "This form does not come from this page, or the page was "
                "open for too long. Load the page again and send it once more.",
            )
        if any("\0" in str(value) for value in form.values()):
            raise bad_request("The form holds a character (NUL) that no text has.")
        return form


Handler = Callable[[PageRequest], Awaitable[Response]]


@dataclass(frozen=True)
class PageRoute:
    """What answers a method and path below /review; {names} in the path are its parameters."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler


def _is_same_site(request: Request) -> bool:
    """Whether the browser, where it tells, sends the form from one of our pages."""
    origin = request.headers.get("origin")
    ours = origin is None or origin.partition("://")[2] == request.headers.get("host")
    return ours and request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
