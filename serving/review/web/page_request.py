"""One request of one person to the pages: what its handler may read, change and answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import quote
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
from serving.leads.intake import to_actor
from serving.leads.lead_facts import UnknownLead
from serving.leads.mirrors import OverrideMirror
from serving.leads.to_records import parse_record
from serving.predictions.live_model import LiveModel
from serving.predictions.predictor import ScoreOptions
from serving.review.charts.charts import PageChart
from serving.review.charts.render import render_svg
from serving.review.web.cache import StaleWhileRevalidateCache
from serving.review.web.forms import NOTE_LENGTH
from serving.review.web.rendering import render
from serving.review.web.session import Session
from serving.review.web.translations import translate_page
from serving.settings import ServiceSettings
from serving.store.records import RecordKind
from serving.store.state.audit_log import Actor
from serving.store.store import Store, StoreUnavailable
from serving.web import permissions as access
from serving.web.api_keys import Key
from serving.web.field_errors import InvalidFields
from serving.web.problems import Problem, bad_request

T = TypeVar("T")
MAX_FIELDS = 5_000
CSRF = "csrf"
_FOREIGN_FORM = (
    "This form does not come from this page, or the page was open for too long. Load the page again and "
    "send it once more."
)


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
    def actor(self) -> Actor:
        """Who is signed in, as the audit log names them."""
        return to_actor(self.key)

    @property
    def crm(self) -> CrmSettings:
        return self.components.crm

    @property
    def zone(self) -> ZoneInfo:
        return self.components.crm.zone

    @property
    def settings(self) -> ServiceSettings:
        return self.components.settings

    @property
    def store(self) -> Store:
        return self.components.store

    @property
    def overrides(self) -> OverrideMirror:
        return self.components.overrides

    @property
    def live_model(self) -> LiveModel:
        """The model and scorecard in use, and where the model comes from."""
        return self.components.model_watcher.live_model

    @property
    def scorer(self) -> Scorer:
        """Scores leads by the model and scorecard in use."""
        return self.live_model.scorer

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
        return render(template, status, self, values)

    def crm_link(self, lead_id: str) -> str | None:
        """The address at which the CRM shows a lead; None unless crm.toml has a `lead_link`."""
        template = self.crm.review.lead_link
        return template and template.replace("{lead_id}", quote(lead_id, safe=""))

    async def draw_charts(self, charts: Iterable[PageChart]) -> None:
        """Draw the charts that the page is going to show, outside the event loop; they are kept."""
        await asyncio.to_thread(lambda: [render_svg(chart) for chart in charts])

    def note_error(self, text: str, missing_key: str) -> dict[str, str]:
        """What is wrong with a note or reason that was typed, as the error of the field `reason`: it is
        empty (the text of `missing_key` says so), or longer than people read."""
        note = text.strip()
        if not note:
            return {"reason": self.translate(missing_key)}
        if len(note) <= NOTE_LENGTH:
            return {}
        return {"reason": self.translate("site_too_long", most=NOTE_LENGTH, count=len(note))}

    def refusal_errors(self, error: InvalidFields) -> dict[str, str]:
        """The invalid fields of a record, by name, in words for the reader."""
        return {e.path.rpartition(".")[2]: self.translate("site_refused") for e in error.errors}

    def redirect(self, path: str, message_key: str | None = None) -> Response:
        """Send the browser to a page, which says the text of `message_key`."""
        if message_key is not None:
            path += f"{'&' if '?' in path else '?'}done={message_key}"
        return RedirectResponse(path, 303)

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
        await self.components.intake.accept(kind, [record], self.key)

    async def rescore_lead(self, lead_id: str) -> None:
        """Score a lead again, so that lists follow what was just recorded; a failure is no error."""
        with suppress(UnknownLead, StoreUnavailable, Problem):
            await self.components.predictor.predict(lead_id, ScoreOptions(now=self.now))

    async def form(self) -> FormData:
        """The fields of a form that our own page sent. Raises Problem: 400, 403, 413."""
        await self.request.body()  # the edge limits its size
        try:
            form = await self.request.form(max_fields=MAX_FIELDS, max_files=0)
        except Exception:
            raise bad_request("The form cannot be read.") from None
        if not self.session.is_token_valid(form.get(CSRF)) or not _is_same_site(self.request):
            raise Problem(403, _FOREIGN_FORM)
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
