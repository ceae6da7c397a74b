"""Renders templates: their texts, the formats of numbers and times, and what a browser may load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from features.clock import from_ms
from features.kinds import Language
from scoring.pages.formats import NONE, format_number, format_share
from scoring.pages.time_to_win import describe_time_evaluation, format_days
from scoring.texts import all_texts
from serving.review.charts.charts import PageChart
from serving.review.charts.render import render_svg
from serving.review.web.static_files import asset_url
from serving.review.web.translations import page_texts, translate_page

if TYPE_CHECKING:
    from serving.review.web.page_request import PageRequest

CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from outside, no script inside a page."""

NAV = (
    ("overview", "/review"),
    ("calls", "/review/calls"),
    ("disagreements", "/review/disagreements"),
    ("definition", "/review/definition"),
    ("models", "/review/models"),
    ("figures", "/review/figures"),
)


@dataclass(frozen=True)
class NavItem:
    """A page of the navigation: its name (site_<name> is its text), its path, and whether it is open."""

    name: str
    path: str
    is_current: bool


def render(template: str, status: int, visit: PageRequest, values: Mapping[str, object]) -> Response:
    """A page as a response; `values` are the names that its template uses beside those of every page."""
    of_every_page = {
        "visit": visit,
        "say": visit.translate,
        "nav": build_nav(visit.path, lambda path: visit.is_allowed("GET", path)),
        "done": success_message(visit.request.query_params, visit.lang),
    }
    body = environment().get_template(template).render(**of_every_page, **values)
    # Without a referrer to our own pages, browsers would send no origin with a form either.
    headers = {"content-security-policy": CONTENT_SECURITY, "referrer-policy": "same-origin"}
    return HTMLResponse(body, status, headers)


def build_nav(current_path: str, is_allowed: Callable[[str], bool]) -> tuple[NavItem, ...]:
    """The pages of the navigation whose path is allowed."""
    allowed = ((name, path) for name, path in NAV if is_allowed(path))
    return tuple(NavItem(name, path, _is_current(current_path, path)) for name, path in allowed)


def _is_current(current_path: str, path: str) -> bool:
    inside = path != "/review" and current_path.startswith(f"{path}/")
    return current_path.rstrip("/") == path or inside


def success_message(query: Mapping[str, str], lang: Language) -> str:
    """The text that the address names in `done`: what was just recorded. Only such texts are shown."""
    key = query.get("done", "")
    return translate_page(key, lang) if "_done" in key and key in page_texts() else ""


@cache
def environment() -> Environment:
    options: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    loader = FileSystemLoader(Path(__file__).parents[1] / "templates")
    jinja = Environment(loader=loader, autoescape=True, **options)
    jinja.globals |= {"address": asset_url, "drawn": _draw, "picture": render_svg}
    jinja.globals |= {"csrf": _csrf_field, "language_link": _language_link}
    jinja.filters |= {"when": _format_time, "day": _format_day, "iso": _format_iso}
    jinja.filters |= {"number": format_number, "percent": format_share}
    jinja.filters |= {"stage": _stage_word, "owner": _owner_word}
    jinja.filters |= {"days": _format_days, "time_evaluation": _describe_time_evaluation}
    return jinja


@pass_context
def _format_time(context: Context, time_ms: int | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment (ms UTC) in the company's time zone."""
    return NONE if time_ms is None else f"{from_ms(time_ms).astimezone(_visit(context).zone):{form}}"


@pass_context
def _format_day(context: Context, time_ms: int | None) -> str:
    return _format_time(context, time_ms, "%Y-%m-%d")


def _format_iso(time_ms: int) -> str:
    return from_ms(time_ms).isoformat()


def _visit(context: Context) -> PageRequest:
    visit: PageRequest = context["visit"]
    return visit


@pass_context
def _stage_word(context: Context, code: str | None) -> str:
    return NONE if code is None else _visit(context).translate(f"stage_{code}")


@pass_context
def _format_days(context: Context, days: float) -> str:
    return format_days(days, _visit(context).lang)


@pass_context
def _describe_time_evaluation(context: Context, evaluation: Mapping[str, Any]) -> str:
    return describe_time_evaluation(evaluation, _visit(context).lang)


@pass_context
def _owner_word(context: Context, code: str) -> str:
    """The text of an owner; one without a text is shown by its code."""
    key = f"owner_{code}"
    return _visit(context).translate(key) if key in all_texts() else code.replace("_", " ")


@pass_context
def _csrf_field(context: Context) -> Markup:
    """The hidden field that marks a form of this site."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(_visit(context).session.csrf)


@pass_context
def _language_link(context: Context, lang: str) -> str:
    """The address of this page in another language. A page that answers a form has no address of its own:
    then the page of the navigation that it belongs to."""
    visit = _visit(context)
    if visit.request.method != "GET":
        inside = (path for _, path in reversed(NAV) if _is_current(visit.path, path))
        return f"{next(inside, NAV[0][1])}?lang={lang}"
    query = visit.request.query_params
    params = {name: value for name, value in query.items() if name not in ("done", "lang")}
    return f"{quote(visit.path)}?{urlencode({**params, 'lang': lang})}"


@pass_context
def _draw(context: Context, chart: PageChart) -> Markup:
    """A chart as a picture, and its numbers as a table."""
    template = environment().get_template("figure.html")
    return Markup(template.render(figure=chart, say=context["say"]))  # the template escapes its values
