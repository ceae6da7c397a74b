"""From a template to an answer: the words, the formats of numbers and times, and what a browser may load."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from features.clock import from_ms
from scoring.texts import all_texts
from serving.review.charts.charts import Figure
from serving.review.charts.svg import svg
from serving.review.web.static_files import asset_url
from serving.review.web.translations import page_texts, translate_page

if TYPE_CHECKING:
    from serving.review.web.page_request import PageRequest

CONTENT_SECURITY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Plotly's own
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
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


def render(visit: PageRequest, template: str, status: int, values: Mapping[str, Any]) -> Response:
    """A page for somebody, in their language."""
    body = (
        environment()
        .get_template(template)
        .render(visit=visit, say=visit.translate, nav=_nav(visit), done=_success_message(visit), **values)
    )
    # Without a referrer to our own pages, browsers would tell no origin with a form either.
    headers = {"content-security-policy": CONTENT_SECURITY, "referrer-policy": "same-origin"}
    return HTMLResponse(body, status, headers)


def _nav(visit: PageRequest) -> list[tuple[str, str, bool]]:
    """The pages that this person may see: name, path, and whether it is this one."""
    current_path = visit.path
    allowed = [(name, path) for name, path in NAV if visit.is_allowed("GET", path)]
    return [(name, path, _is_current(current_path, path)) for name, path in allowed]


def _is_current(current_path: str, path: str) -> bool:
    inside = path != "/review" and current_path.startswith(f"{path}/")
    return current_path.rstrip("/") == path or inside


def _success_message(visit: PageRequest) -> str:
    """What was just done, as the address says; only texts of ours that tell so."""
    key = visit.request.query_params.get("done", "")
    return visit.translate(key) if "_done" in key and key in page_texts() else ""


@cache
def environment() -> Environment:
    """The templates, with their formats."""
    jinja = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.globals |= {
        "address": asset_url,
        "drawn": _draw,
        "picture": svg,
        "csrf": _csrf_field,
        "language_link": _language_link,
    }
    jinja.filters |= {
        "when": _format_time,
        "day": _format_day,
        "iso": _format_iso,
        "number": format_number,
        "percent": format_percent,
        "stage": _stage_word,
        "owner": _owner_word,
    }
    return jinja


def format_number(value: float | None, digits: int = 0) -> str:
    """A number with its thousands apart; – where there is none."""
    return "–" if value is None or value != value else f"{value:,.{digits}f}"


def format_percent(value: float | None, digits: int = 1) -> str:
    """A share between 0 and 1 in percent; – where there is none."""
    return "–" if value is None or value != value else f"{100 * value:.{digits}f} %"


@pass_context
def _format_time(context: Context, time_ms: int | None) -> str:
    """A moment (ms UTC) in the company's time zone."""
    return "–" if time_ms is None else from_ms(time_ms).astimezone(_zone(context)).strftime("%Y-%m-%d %H:%M")


@pass_context
def _format_day(context: Context, time_ms: int | None) -> str:
    return "–" if time_ms is None else from_ms(time_ms).astimezone(_zone(context)).strftime("%Y-%m-%d")


def _format_iso(time_ms: int) -> str:
    return from_ms(time_ms).isoformat()


def _zone(context: Context) -> Any:
    return context["visit"].components.crm.zone


@pass_context
def _stage_word(context: Context, code: str | None) -> str:
    """A lead's stage in words."""
    return "–" if code is None else translate_page(f"stage_{code}", context["visit"].lang)


@pass_context
def _owner_word(context: Context, code: str) -> str:
    """An owner in words, where it is one that Hotlead knows."""
    key = f"owner_{code}"
    is_known = key in all_texts()
    return translate_page(key, context["visit"].lang) if is_known else code.replace("_", " ")


@pass_context
def _csrf_field(context: Context) -> Markup:
    """The hidden field that tells our own forms from forged ones."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(context["visit"].session.csrf)


@pass_context
def _language_link(context: Context, lang: str) -> str:
    """This very page in another language; the page of its part, where this one answers a form."""
    visit = context["visit"]
    if visit.request.method != "GET":
        inside = (path for _, path in reversed(NAV) if _is_current(visit.path, path))
        return f"{next(inside, NAV[0][1])}?lang={lang}"
    params = {k: v for k, v in visit.request.query_params.items() if k not in ("done", "lang")}
    return f"{quote(visit.path)}?{urlencode({**params, 'lang': lang})}"


@pass_context
def _draw(context: Context, figure: Figure) -> Markup:
    """A figure: drawn by a script where there is one, as a picture else, and as a table for all."""
    template = environment().get_template("figure.html")
    return Markup(template.render(figure=figure, say=context["say"], svg=svg))  # it escapes what it shows
