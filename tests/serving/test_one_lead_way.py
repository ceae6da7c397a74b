"""The way of one lead through the code, from the request to the answer, stays short."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import FrameType

from features.clock import iso, now_ms
from tests.helpers.service.service_app import CRM_TOML, App, small_app

ROOT = Path(__file__).parents[2]
PACKAGES = tuple(f"{ROOT / package}/" for package in ("features", "scoring", "serving"))
MAX_FUNCTIONS, MAX_FILES = 100, 32
Function = tuple[str, str]
"""The file of a function, and its qualified name."""

KINDS = ("quoted", "interest", "age", "account_7d")
PLAIN_CRM = "\n".join(line for line in CRM_TOML.splitlines() if line.split(" ")[0] not in KINDS)
"""The small company with one kind of feature on activities: each further kind has functions of its own."""
PLAIN_CARD = """
[bands]
warm = 20
hot = 30

[fit.rows.referral]
when = [{ feature = "channel", one_of = ["referral"] }]
points = 20
because = { en = "Came by referral", ja = "紹介で来訪" }

[intent.rows.visits]
when = [{ feature = "visits_7d", at_least = 1 }]
points = 10
because = { en = "Visited the site", ja = "サイト訪問" }

[stages.cold]
kind = "inform"
owner = "marketing"
text = { en = "Inform.", ja = "情報を届けてください。" }

[stages.warm]
kind = "nurture"
owner = "inside_sales"
text = { en = "Nurture.", ja = "フォローしてください。" }

[stages.hot]
kind = "call"
owner = "inside_sales"
text = { en = "Call.", ja = "電話してください。" }
hours = 1
"""


@contextmanager
def traced(functions: set[Function]) -> Iterator[None]:
    """Collects the functions of our own that run. A comprehension is a part of its function, and a property
    is a value of its object; both are left out."""

    def profile(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGES) and not code.co_name.startswith("<"):
            functions.add((code.co_filename.removeprefix(f"{ROOT}/"), code.co_qualname))

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def is_property(function: Function) -> bool:
    """Whether a function is the getter of a property."""
    file, name = function
    if "<locals>" in name:
        return False
    module = sys.modules[file.removesuffix(".py").replace("/", ".")]
    member: object = module
    for part in name.split("."):
        member = vars(member)[part]
    return isinstance(member, property | cached_property)


def post_lead(app: App) -> set[Function]:
    """The functions that each request for the score of a lead runs, once everything is warm: what is done
    once a second, such as a look at the file of keys, is in some of three requests only."""
    now = now_ms()
    body = {
        "lead_id": "L1",
        "created_at": iso(now - 10_000_000),
        "attributes": {"channel": "referral", "employees": 1200, "hobby": "go"},
        "activities": [{"type": "visit", "at": iso(now - 5_000_000), "value": 3}],
    }
    app.post("/v1/score", body)
    requests = [set[Function]() for _ in range(3)]
    for functions in requests:
        with traced(functions):
            answer = app.post("/v1/score", body)
        assert (answer.status_code, answer.json()["rules"]["points"]) == (200, 30)
    return {function for function in set.intersection(*requests) if not is_property(function)}


def test_the_way_of_one_lead_is_short(tmp_path: Path) -> None:
    with small_app(tmp_path, crm=PLAIN_CRM, card=PLAIN_CARD) as app:
        functions = post_lead(app)
    listing = "\n".join(" ".join(function) for function in sorted(functions))
    assert ("serving/leads/lead_facts.py", "parse_lead") in functions
    assert ("serving/store/backends/sqlite.py", "SqliteDatabase.insert_predictions") in functions
    assert len(functions) <= MAX_FUNCTIONS, listing
    assert len({file for file, _ in functions}) <= MAX_FILES, listing
