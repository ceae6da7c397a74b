"""The permissions: one table of method and path to the roles that are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from serving.web.api_keys import Role

_CRM: frozenset[Role] = frozenset({"crm", "admin"})
_REVIEWER: frozenset[Role] = frozenset({"reviewer", "admin"})
_ADMIN: frozenset[Role] = frozenset({"admin"})
_ALL: frozenset[Role] = frozenset({"crm", "reviewer", "admin"})

ROOT = "/"
"""Redirects to the pages."""

OPEN_PATHS = frozenset({ROOT, "/livez", "/readyz", "/healthz"})
"""Paths that need no key: health checks and the redirect to the pages."""

PAGES = "/review/"
"""The review pages: people sign in there, and a session cookie identifies them."""

SIGN_IN, SIGN_OUT, STATIC = "/review/sign-in", "/review/sign-out", "/review/static"

BENTOML_PATHS = frozenset({"/score", "/score_batch"})
"""BentoML's own endpoints, for its clients."""

METRICS_PATH = "/metrics"
"""Needs a key of any role; none from this machine."""

PERMISSIONS: Mapping[tuple[str, str], frozenset[Role]] = MappingProxyType(
    {
        ("POST", "/v1/score"): _ALL,
        ("POST", "/v1/score/batch"): _CRM,
        **{("POST", path): _CRM for path in BENTOML_PATHS},
        **{("POST", f"/v1/{kind}"): _CRM for kind in ("activities", "leads", "outcomes", "opportunities")},
        ("POST", "/v1/handovers"): _ALL,
        ("POST", "/v1/overrides"): _REVIEWER,
        ("POST", "/v1/verdicts"): _REVIEWER,
        ("GET", "/v1/scores"): _ALL,
        ("GET", "/v1/hot"): _ALL,
        ("GET", "/v1/model"): _ALL,
        ("GET", "/v1/openapi.json"): _ALL,
        ("GET", "/schema.json"): _ALL,  # BentoML's client reads it first
        ("GET", METRICS_PATH): _ALL,
        **{("GET", path): _ALL for path in OPEN_PATHS},
        **{("GET", path): _REVIEWER for path in ("/review", PAGES, "/review/figures")},
        **{
            (method, f"/review/{page}"): _REVIEWER
            for page in ("calls", "leads", "disagreements", "definition", "models")
            for method in ("GET", "POST")
        },
        ("POST", "/review/models/promote"): _ADMIN,
        ("POST", "/review/models/rollback"): _ADMIN,
        ("GET", SIGN_IN): _ALL,
        ("POST", SIGN_IN): _ALL,
        ("POST", SIGN_OUT): _ALL,
        ("GET", STATIC): _ALL,
    }
)
"""Everything else is for admins only."""


def _list_methods() -> dict[str, str]:
    methods_by_path: dict[str, list[str]] = {}
    for method, path in PERMISSIONS:
        methods_by_path.setdefault(path, []).extend(["GET", "HEAD"] if method == "GET" else [method])
    return {path: ", ".join([*methods, "OPTIONS"]) for path, methods in methods_by_path.items()}


ALLOW: Mapping[str, str] = MappingProxyType(_list_methods())
"""The methods of each path, as in the header Allow."""

UNKNOWN_ROUTE = "other"
ROUTES = frozenset(ALLOW)


def find_route(path: str) -> str:
    """The route of a path in metrics and logs: one of a fixed set, so that no id appears there.

    A page has the longest prefix that is in the table: /review/leads/L-1 has /review/leads.
    """
    if path in ROUTES:
        return path
    if not path.startswith(PAGES):
        return UNKNOWN_ROUTE
    parts = path.split("/")
    shorter = ("/".join(parts[:size]) for size in range(min(len(parts), 5), 2, -1))
    return next((prefix for prefix in shorter if prefix in ROUTES), UNKNOWN_ROUTE)


def is_allowed(role: Role, method: str, path: str) -> bool:
    """Whether a role may do this. HEAD counts as GET; OPTIONS of a known path is allowed to all."""
    if role == "admin" or (method == "OPTIONS" and path in ALLOW):
        return True
    return role in PERMISSIONS.get(("GET" if method == "HEAD" else method, path), ())


def is_page(path: str) -> bool:
    """Whether the path is a page for people, which signs them in and shows errors as HTML."""
    return path.startswith(PAGES) or path == PAGES[:-1]


def is_known(method: str, path: str) -> bool:
    """Whether the table has this method and path; HEAD counts as GET."""
    return ("GET" if method == "HEAD" else method, path) in PERMISSIONS
