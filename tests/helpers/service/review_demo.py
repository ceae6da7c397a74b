"""The demo as a reviewer meets it: half a year of service, a champion, and a challenger that waits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.support.served import RunningService, start_service
from demo.handling import simulate_handling
from demo.run import make_demo, today_in_japan
from features.crm.extra_columns import read_extra_columns
from features.crm.load import load
from features.settings import load_settings
from scoring.scorecard.load import find_card
from serving.jobs.crm_records import CrmExport
from serving.jobs.demo_history import simulate_history
from serving.jobs.import_crm import import_crm
from serving.settings import ServiceSettings
from tests.conftest import Demo
from tests.scoring.pages.test_page import open_browser
from training.registry.follower import deploy_champion
from training.registry.mlflow_store import CHALLENGER, MODEL_NAME, mlflow_store
from training.registry.promotion import promote

LEADS = 2_500
_REFUSED = "status of 422"
IMAGES = Path(__file__).parents[3] / "docs" / "images"


@dataclass(frozen=True)
class ReviewDemo:
    """A running service over the demo, and the crm.toml that it serves."""

    service: RunningService
    crm_toml: Path

    @property
    def url(self) -> str:
        return f"{self.service.url}/review"


def make_used_demo(demo: Demo, folder: Path) -> Path:
    """The crm.toml of a demo CRM that ends today, with the model of `demo` and a past of its own."""

    def ignore_progress(message: str) -> None:
        pass

    crm_toml = make_demo(folder, LEADS, 7, today_in_japan(datetime.now(UTC)))
    settings = ServiceSettings.from_environment({"HOTLEAD_CRM": str(crm_toml)})
    settings.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(demo.out / "mlflow.db", settings.out / "mlflow.db")
    shutil.copytree(demo.out / "mlartifacts", settings.out / "mlartifacts")
    crm = load_settings(crm_toml)
    _register_challenger(settings.out)
    promote(settings.out, find_card(crm.folder, crm.table), "the first model", "demo")
    _register_challenger(settings.out)
    loaded = load(crm, settings.out / "rejects.csv")
    export_fields = asdict(read_extra_columns(loaded)) | {"first_contacts": [None] * len(loaded.crm)}
    export = CrmExport(loaded.crm, **export_fields)
    simulate_history(settings, crm, export, simulate_handling, ignore_progress)
    deploy_champion(settings.out, settings.bundles, ignore_progress)
    import_crm(settings, crm, export, ignore_progress)
    return crm_toml


def _register_challenger(out: Path) -> None:
    """Register the newest model once more, as the challenger: training anew would take a minute."""

    with mlflow_store(out) as (mlflow, _):
        client = mlflow.MlflowClient()
        newest = max(client.search_model_versions(f"name = '{MODEL_NAME}'"), key=lambda v: int(v.version))
        version = client.create_model_version(
            MODEL_NAME, newest.source, run_id=newest.run_id, model_id=newest.model_id
        )
        client.set_registered_model_alias(MODEL_NAME, CHALLENGER, version.version)


@contextmanager
def review_demo(demo: Demo, folder: Path) -> Iterator[ReviewDemo]:
    """`hotlead serve --open` over it, in processes of its own."""
    crm_toml = make_used_demo(demo, folder)
    with start_service(crm_toml, environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        yield ReviewDemo(service, crm_toml)


@dataclass
class BrowserWindow:
    """A browser window, and what must not happen in it."""

    page: Any
    lang: str
    problems: list[str]

    def check(self, name: str, keep: bool = True) -> None:
        """No errors, no accessibility violations, and texts of charts that fit; keeps the picture."""
        assert self.problems == []
        assert self.page.evaluate("document.documentElement.scrollWidth") <= self.page.viewport_size["width"]
        assert serious_violations(self.page) == [], name
        assert text_problems(self.page) == [], name
        if keep:
            self.picture(name)

    def expect_refusal(self) -> None:
        """The page that was just sent is refused: the browser says so, which is no error of ours."""
        assert any(_REFUSED in problem for problem in self.problems), self.problems
        self.problems[:] = [problem for problem in self.problems if _REFUSED not in problem]

    def expect_download(self) -> None:
        """Something was just downloaded: that ends the request which began it."""
        self.problems[:] = [problem for problem in self.problems if ".csv" not in problem]

    def picture(self, name: str) -> None:
        """Keep the picture for the docs, where they are to be made anew."""
        if os.environ.get("HOTLEAD_SCREENSHOTS"):
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=IMAGES / f"{name}-{self.lang}.png")


def serious_violations(page: Any) -> list[str]:
    """What axe calls serious or critical on a page."""
    from axe_playwright_python.sync_playwright import Axe  # only browser tests need it

    violations = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@contextmanager
def open_window(
    url: str, lang: str, width: int = 1280, scripts: bool = True, **more: Any
) -> Iterator[BrowserWindow]:
    """A window on a page, in which every request to elsewhere, error and refusal is noted."""
    with open_browser() as browser:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, locale=lang, java_script_enabled=scripts, **more
        )
        page, problems = context.new_page(), list[str]()
        watch: dict[str, Callable[[Any], None]] = {
            "request": lambda r: r.url.startswith((url, "data:")) or problems.append(f"asks {r.url}"),
            "console": lambda m: m.type == "error" and problems.append(f"console: {m.text}"),
            "pageerror": lambda e: problems.append(f"script: {e}"),
            "requestfailed": lambda r: problems.append(f"failed: {r.url}"),
        }
        for event, note in watch.items():
            page.on(event, note)
        yield BrowserWindow(page, lang, problems)
        assert problems == []
        context.close()


_TEXT_PROBLEMS = """() => [...document.querySelectorAll(".plot svg")].flatMap((svg) => {
  const box = svg.getBoundingClientRect();
  if (!box.width) return [];
  const texts = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
  const name = svg.getAttribute("aria-label");
  const outside = texts.filter(([, t]) => t.left < box.left - 0.5 || t.right > box.right + 0.5 ||
    t.top < box.top - 0.5 || t.bottom > box.bottom + 0.5).map(([text]) => `${name}: ${text} is cut off`);
  const meets = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;  // the boxes of two lines touch
  const pairs = texts.flatMap(([a, one], i) => texts.slice(i + 1).filter(([, other]) => meets(one, other))
    .map(([b]) => `${name}: ${a} and ${b} overlap`));
  return [...outside, ...pairs];
})"""


def text_problems(page: Any) -> list[str]:
    """The texts of the visible charts of a page that are cut off or lie over one another."""
    problems: list[str] = page.evaluate(_TEXT_PROBLEMS)
    return problems
