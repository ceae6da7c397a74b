"""docs/api.md says what the API does: its examples are sent, its tables compared with the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from features.clock import now_ms, to_ms
from scoring.model.bundle import Origin, write_bundle
from serving.leads import bodies
from serving.leads import field_types as fields
from serving.observability.prometheus import Metrics
from serving.settings import ServiceSettings
from serving.web import api_keys as keys
from serving.web import permissions as access
from serving.web.api_keys import ROLES
from tests.conftest import Demo
from tests.helpers.service.live_service import served
from tests.helpers.service.service_app import App
from training.registry.mlflow_store import find_model

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
NOW = to_ms(datetime.fromisoformat("2026-11-26T03:11:00Z"))
BLOCK = re.compile(r"```(sh|json|python|js)\n(.*?)```", re.DOTALL)
CURL = re.compile(r"""curl -s "?\$URL(?P<path>[^\s"]+)"?(?P<rest>.*)""", re.DOTALL)


@pytest.fixture(scope="module")
def app(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The service on the demo's CRM, at the time of the page."""
    out = tmp_path_factory.mktemp("out")
    registered = find_model(demo.out)
    origin = Origin(registered.model.version, registered.version, registered.run_id, NOW)
    write_bundle(out / "bundles", registered.folder, origin)
    service_app = App(demo.crm_toml, out, lambda: NOW)
    yield service_app
    service_app.close()


def find_calls() -> Iterator[tuple[str, str, Any, Any]]:
    """Path, role and body of each call of the page, with the answer that is shown (None: none is)."""
    blocks = BLOCK.findall(PAGE)
    for (kind, text), (next_kind, next_text) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        match = CURL.search(text) if kind == "sh" else None
        if match:
            body_match = re.search(r"-d '(.*)'", match["rest"], re.DOTALL)
            shown = json.loads(next_text) if next_kind == "json" else None
            role = "reviewer" if "REVIEWER_KEY" in text else "crm"
            yield match["path"], role, body_match and json.loads(body_match[1]), shown


def check_shape(shown: Any, got: Any) -> None:
    """What is shown is a part of what was answered: the same fields, of the same kinds."""
    if isinstance(shown, dict):
        assert isinstance(got, dict)
        assert set(shown) <= set(got)
        for name, value in shown.items():
            if value is not None and got[name] is not None:
                check_shape(value, got[name])
    elif isinstance(shown, list):
        assert isinstance(got, list)
        for one, actual_item in zip(shown, got, strict=False):
            check_shape(one, actual_item)
    else:
        assert type(shown) in (type(got), float, int)


def test_every_call_of_the_page_is_answered_as_it_says(app: App) -> None:
    page_calls = list(find_calls())
    assert len(page_calls) >= 13
    for path, role, body, shown in page_calls:
        answer = app.request("GET" if body is None else "POST", path, role, json=body)  # type: ignore[arg-type]
        wanted = shown.get("status") if isinstance(shown, dict) and "title" in shown else None
        assert answer.status_code == (wanted or answer.status_code), answer.text
        assert wanted or answer.is_success, (path, answer.text)
        if shown is not None:
            check_shape(shown, answer.json())
    assert {path.partition("?")[0] for path, *_ in page_calls} >= {
        path for _, path in access.PERMISSIONS if path.startswith("/v1/")
    }


def test_the_first_answer_is_shown_whole(app: App) -> None:
    path, _, body, shown = next(find_calls())
    assert set(shown) == set(app.post(path, body).json())


def test_the_python_of_the_page_runs(demo: Demo, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    token = keys.add(Path(out) / "keys.json", "crm", "page")[1]
    codes = [text for kind, text in BLOCK.findall(PAGE) if kind == "python" and "bentoml" not in text]
    assert codes
    with served(demo.crm_toml, HOTLEAD_OUT=out) as live:
        for code in codes:
            environ = {**os.environ, "URL": live.url, "KEY": token}
            completed = subprocess.run(
                [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
            )
            assert completed.returncode == 0, completed.stderr
            assert completed.stdout.split()[0] in ("cold", "warm", "hot")


def read_table(title: str) -> list[list[str]]:
    """The rows of the first table under a title."""
    part = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def test_roles_are_those_of_the_code() -> None:
    head, _, *rows = read_table("Keys")
    assert tuple(head[1:]) == ROLES
    documented_roles = {}
    for first, *cells in rows:
        method = re.search(r"`(GET|POST) ", first)
        assert method
        for path in re.findall(r"(/[\w./]+)", first):
            documented_roles[method[1], path] = {
                r for r, cell in zip(ROLES, cells, strict=True) if cell == "yes"
            }
    wanted = {key: roles for key, roles in access.PERMISSIONS.items() if key[1].startswith("/v1/")}
    assert documented_roles == {**wanted, ("GET", "/metrics"): access.PERMISSIONS["GET", "/metrics"]}


def test_every_variable_is_there_with_its_default(tmp_path: Path) -> None:
    rows = {row[0].strip("`"): row[1] for row in read_table("Environment")[2:]}
    folders = ("serving", "training", "cli")
    sources = "\n".join(path.read_text() for name in folders for path in (ROOT / name).rglob("*.py"))
    setting_names = {str(field.validation_alias) for field in ServiceSettings.model_fields.values()}
    for name in rows:
        assert name in sources or name in setting_names, name
    assert setting_names <= set(rows)
    settings = ServiceSettings.from_environment({"HOTLEAD_CRM": str(tmp_path / "crm.toml")})
    for name, value in (
        ("BODY_LIMIT", settings.body_limit),
        ("RATE_LIMIT", f"{settings.rate_limit:g}"),
        ("RETENTION_DAYS", settings.retention_days),
        ("LOG_LEVEL", settings.log_level),
        ("OPEN", 0),
    ):
        assert rows[f"HOTLEAD_{name}"] == str(value)


def test_limits_are_those_of_the_code() -> None:
    rows = {row[0]: row[1] for row in read_table("Limits")[2:]}
    assert rows["leads in a batch"] == f"{bodies.MAX_BATCH:,}"
    assert rows["records in a list"] == f"{bodies.MAX_RECORDS:,}"
    assert rows["activities, changes, activities of colleagues of a lead"].startswith(
        f"{bodies.MAX_ACTIVITIES:,}"
    )
    assert rows["attributes of a lead"] == (
        f"{fields.MAX_ATTRIBUTES:,}; texts up to {fields.MAX_TEXT_LENGTH:,} characters"
    )
    assert f"{fields.FROM_YEAR} to\n{fields.TO_YEAR}" in PAGE


def test_metrics_are_those_of_the_code() -> None:
    metrics = Metrics(access.ROUTES, now_ms)
    text = metrics.render()[0].decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    documented_metrics = {
        n.removesuffix("_total")
        for row in read_table("Metrics and logs")[2:]
        for n in re.findall(r"`(hotlead_\w+)`", row[0])
    }
    assert documented_metrics == {name for name in families if not name.endswith("_created")}


def test_statuses_are_those_of_the_description(app: App) -> None:
    document = app.get("/v1/openapi.json").json()
    described = {
        status
        for methods in document["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
        if status >= "400"
    }
    assert {row[0] for row in read_table("Errors")[2:]} == described | {"405"}


def test_links_within_the_page_lead_somewhere() -> None:
    titles = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    places = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    for link in re.findall(r"\]\(#([\w-]+)\)", PAGE):
        assert link in places
    for link in re.findall(r"\]\((\w+\.md)", PAGE):
        assert (ROOT / "docs" / link).exists()
