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

from benchmarks.served import Served, served
from tests.conftest import Demo
from tests.scoring.pages.test_page import browsing

LEADS = 2_500
_REFUSED = "status of 422"
IMAGES = Path(__file__).parents[2] / "docs" / "images"


@dataclass(frozen=True)
class ReviewDemo:
    """A running service over the demo, and the crm.toml that it serves."""

    service: Served
    crm_toml: Path

    @property
    def url(self) -> str:
        return f"{self.service.url}/review"


def lived_in(demo: Demo, folder: Path) -> Path:
    """The crm.toml of a demo CRM that ends today, with the model of `demo` and a past of its own."""
    from demo.handling import handling
    from demo.run import make, today_in_japan
    from features.crm.extra_columns import besides
    from features.crm.load import load
    from features.settings import load_settings
    from scoring.scorecard.load import find_card
    from serving.jobs.crm_records import Export
    from serving.jobs.demo_history import live
    from serving.jobs.import_crm import import_crm
    from serving.settings import ServiceSettings
    from training.registry.follower import lay_out
    from training.registry.promotion import promote

    def say(told: str) -> None:
        pass

    crm_toml = make(folder, LEADS, 7, today_in_japan(datetime.now(UTC)))
    settings = ServiceSettings.from_environment({"HOTLEAD_CRM": str(crm_toml)})
    settings.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(demo.out / "mlflow.db", settings.out / "mlflow.db")
    crm = load_settings(crm_toml)
    _again(settings.out)
    promote(settings.out, find_card(crm.folder, crm.table), "the first model", "demo")
    _again(settings.out)
    loaded = load(crm, settings.out / "rejects.csv")
    told = asdict(besides(loaded)) | {"first_contacts": [None] * len(loaded.crm)}
    export = Export(loaded.crm, **told)
    live(settings, crm, export, handling, say)
    lay_out(settings.out, settings.bundles, say)
    import_crm(settings, crm, export, say)
    return crm_toml


def _again(out: Path) -> None:
    """Register the newest model once more, as the challenger: training anew would take a minute."""
    from training.registry.mlflow_store import CHALLENGER, MODEL_NAME, mlflow_store

    with mlflow_store(out) as (mlflow, _):
        client = mlflow.MlflowClient()
        newest = max(client.search_model_versions(f"name = '{MODEL_NAME}'"), key=lambda v: int(v.version))
        made = client.create_model_version(
            MODEL_NAME, newest.source, run_id=newest.run_id, model_id=newest.model_id
        )
        client.set_registered_model_alias(MODEL_NAME, CHALLENGER, made.version)


@contextmanager
def review_demo(demo: Demo, folder: Path) -> Iterator[ReviewDemo]:
    """`hotlead serve --open` over it, in processes of its own."""
    crm_toml = lived_in(demo, folder)
    with served(crm_toml, environ={"HOTLEAD_RATE_LIMIT": "0"}) as service:
        yield ReviewDemo(service, crm_toml)


@dataclass
class Looked:
    """A browser window, and what must not happen in it."""

    page: Any
    lang: str
    wrong: list[str]

    def check(self, name: str, keep: bool = True) -> None:
        """Nothing went wrong, a screen reader finds its way, and the picture is kept."""
        assert self.wrong == []
        assert self.page.evaluate("document.documentElement.scrollWidth") <= self.page.viewport_size["width"]
        assert serious(self.page) == [], name
        if keep:
            self.picture(name)

    def refused(self) -> None:
        """The page that was just sent is refused: the browser says so, which is no error of ours."""
        assert any(_REFUSED in told for told in self.wrong), self.wrong
        self.wrong[:] = [told for told in self.wrong if _REFUSED not in told]

    def downloaded(self) -> None:
        """Something was just downloaded: that ends the request which began it."""
        self.wrong[:] = [told for told in self.wrong if ".csv" not in told]

    def picture(self, name: str) -> None:
        """Keep the picture for the docs, where they are to be made anew."""
        if os.environ.get("HOTLEAD_SCREENSHOTS"):
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=IMAGES / f"{name}-{self.lang}.png")


def serious(page: Any) -> list[str]:
    """What axe calls serious or critical on a page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@contextmanager
def looking(url: str, lang: str, width: int = 1280, scripts: bool = True, **more: Any) -> Iterator[Looked]:
    """A window on a page, in which every request to elsewhere, error and refusal is noted."""
    with browsing() as browser:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            locale=lang,
            java_script_enabled=scripts,
            **more,
        )
        page, wrong = context.new_page(), list[str]()
        watch: dict[str, Callable[[Any], None]] = {
            "request": lambda r: r.url.startswith((url, "data:")) or wrong.append(f"asks {r.url}"),
            "console": lambda m: m.type == "error" and wrong.append(f"console: {m.text}"),
            "pageerror": lambda e: wrong.append(f"script: {e}"),
            "requestfailed": lambda r: wrong.append(f"failed: {r.url}"),
        }
        for event, note in watch.items():
            page.on(event, note)
        yield Looked(page, lang, wrong)
        assert wrong == []
        context.close()
