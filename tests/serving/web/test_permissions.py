"""Which role may do what."""

import pytest

from serving.web.api_keys import ROLES, Role
from serving.web.permissions import (
    ALLOW,
    OPEN_PATHS,
    PERMISSIONS,
    SIGN_IN,
    SIGN_OUT,
    STATIC,
    find_route,
    is_allowed,
    is_known,
    is_page,
)

CRM_ONLY = [
    ("POST", p)
    for p in (
        "/v1/score/batch",
        "/score",
        "/score_batch",
        "/v1/activities",
        "/v1/leads",
        "/v1/outcomes",
        "/v1/opportunities",
    )
]
CRM_AND_REVIEWER = [
    ("POST", "/v1/score"),
    ("POST", "/v1/handovers"),
    ("GET", "/v1/scores"),
    ("GET", "/v1/hot"),
    ("GET", "/v1/model"),
    ("GET", "/v1/openapi.json"),
    ("GET", "/metrics"),
]
REVIEWER_ONLY = [("POST", "/v1/overrides"), ("POST", "/v1/verdicts")]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("crm", CRM_ONLY + CRM_AND_REVIEWER),
        ("reviewer", REVIEWER_ONLY + CRM_AND_REVIEWER),
        ("admin", CRM_ONLY + CRM_AND_REVIEWER + REVIEWER_ONLY),
    ],
)
def test_each_role_has_exactly_its_permissions(role: Role, allowed: list[tuple[str, str]]) -> None:
    for method, path in CRM_ONLY + CRM_AND_REVIEWER + REVIEWER_ONLY:
        assert is_allowed(role, method, path) == ((method, path) in allowed), (method, path)


def test_the_table_has_no_other_entries() -> None:
    api = {(method, path) for method, path in PERMISSIONS if not is_page(path)}
    probes = {("GET", path) for path in OPEN_PATHS} | {("GET", "/schema.json")}
    assert api == {*CRM_ONLY, *CRM_AND_REVIEWER, *REVIEWER_ONLY, *probes}
    assert set().union(*PERMISSIONS.values()) == set(ROLES)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/score"),
        ("GET", "/v1/score"),
        ("GET", "/docs.json"),
        ("POST", "/"),
        ("POST", "/v1/score/"),
        ("POST", "/V1/score"),
        ("POST", "//v1/score"),
        ("post", "/v1/score"),
        ("GET", "/v1/scores/../leads"),
    ],
)
def test_everything_else_is_for_admins(method: str, path: str) -> None:
    assert not is_allowed("crm", method, path)
    assert not is_allowed("reviewer", method, path)
    assert is_allowed("admin", method, path)


def test_head_counts_as_get_and_options_needs_a_known_path() -> None:
    assert is_allowed("crm", "HEAD", "/v1/hot")
    assert not is_allowed("crm", "HEAD", "/v1/leads")
    assert is_allowed("crm", "OPTIONS", "/v1/overrides")
    assert not is_allowed("crm", "OPTIONS", "/nowhere")
    assert is_known("HEAD", "/v1/hot")
    assert not is_known("HEAD", "/v1/leads")


def test_allow_lists_the_methods() -> None:
    assert ALLOW["/v1/hot"] == "GET, HEAD, OPTIONS"
    assert ALLOW["/v1/leads"] == "POST, OPTIONS"


def test_a_route_is_one_of_a_fixed_set() -> None:
    assert find_route("/v1/hot") == "/v1/hot"
    assert find_route("/v1/leads/anna@example.com") == "other"


def test_the_route_of_a_page_is_its_longest_prefix_in_the_table() -> None:
    assert find_route("/review") == "/review"
    assert find_route("/review/sign-in") == "/review/sign-in"
    assert find_route("/review/sign-in/deeper") == "/review/sign-in"
    assert find_route("/review/static/site.css") == "/review/static"
    assert find_route("/review/anna@example.com") == "other"
    assert find_route("/reviewers") == "other"


def test_the_role_crm_sees_no_page() -> None:
    for method, path in PERMISSIONS:
        if is_page(path) and path not in (SIGN_IN, SIGN_OUT, STATIC):
            assert not is_allowed("crm", method, path)
