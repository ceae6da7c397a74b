"""`hotlead monitor`: in the terminal, as JSON and as a page, with exit codes that say whether to act."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from features.clock import now_ms
from tests.helpers.service.served_builder import Company, fill_store, make_company
from tests.helpers.service.stores import open_store
from tests.helpers.small_crm import run

ADVICE = {"en": "Win rates changed", "ja": "市場の傾向が変わりました"}


def build_deployment(
    folder: Path, bias: float = 0.0, channels: tuple[str, ...] = ("referral", "ads")
) -> Company:
    """A company whose service has answered for two months until today."""
    deployment = make_company(folder)
    with open_store(deployment.settings.store_url, deployment.settings.spool) as store:
        fill_store(store, deployment.model, now_ms(), bias, channels)
    return deployment


def monitor(deployment: Company, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    return run("monitor", deployment.settings.crm, *arguments, env=env)


def read(completed: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(completed.stdout)


def test_good_performance_exits_with_0(tmp_path: Path) -> None:
    completed = monitor(build_deployment(tmp_path), "--json")
    assert completed.returncode == 0, completed.stderr
    report = read(completed)
    assert report["advice"] == "fine"
    (version,) = report["performance"]
    assert version["judged"] == 1_000
    assert version["calibration"]["value"] <= version["calibration_bar"]
    assert set(report["thresholds"]) == {"min_wins", "min_judged", "calibration", "little", "much"}
    assert report["trained_through"] == "2026-01-31T00:00:00Z"


def test_worse_performance_is_reported_in_both_languages_and_on_a_page(tmp_path: Path) -> None:
    deployment = build_deployment(tmp_path, bias=0.3)
    for lang, advice in ADVICE.items():
        page = tmp_path / f"{lang}.html"
        completed = monitor(deployment, "--lang", lang, "--html", page)
        assert completed.returncode == 7, completed.stderr
        assert advice in "".join(completed.stdout.splitlines())
        assert str(page) in completed.stdout.replace("\n", "")
        html = page.read_text(encoding="utf-8")
        assert advice in html
        assert deployment.model in html
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)


def test_a_feature_that_shifted_is_named(tmp_path: Path) -> None:
    completed = monitor(build_deployment(tmp_path, channels=("ads", "fair")), "--json")
    assert completed.returncode == 7, completed.stderr
    report = read(completed)
    assert report["advice"] == "look_at_this_feature"
    assert "channel" in report["text"]
    assert report["shifts"]["channel"]["index"] >= report["thresholds"]["much"]


def test_since_leaves_out_older_answers(tmp_path: Path) -> None:
    deployment = build_deployment(tmp_path, bias=0.3)
    completed = monitor(deployment, "--json", "--since", "2099-01-01")
    assert completed.returncode == 0, completed.stderr
    assert read(completed)["performance"] == []
    assert monitor(deployment, "--since", "yesterday").returncode == 2


def test_an_empty_store_reports_what_is_missing(tmp_path: Path) -> None:
    deployment = make_company(tmp_path)
    with open_store(deployment.settings.store_url, deployment.settings.spool):
        pass
    completed = monitor(deployment)
    assert completed.returncode == 0, completed.stderr
    assert "200 more judged leads and 20 more wins" in " ".join(
        re.sub("[│╭╮╰╯─]", " ", completed.stdout).split()
    )


@pytest.mark.parametrize("url", ["", "postgresql://nobody:secret@127.0.0.1:1/none"])
def test_a_missing_or_unavailable_store_exits_with_5(tmp_path: Path, url: str) -> None:
    completed = monitor(make_company(tmp_path), HOTLEAD_STORE_URL=url)
    assert completed.returncode == 5
    assert "store" in completed.stderr
    assert "secret" not in completed.stderr + completed.stdout
    assert "Traceback" not in completed.stderr
    assert not (tmp_path / "hotlead-out" / "store.db").exists()


def test_the_exit_codes_stand_in_the_help() -> None:
    help_text = " ".join(run("monitor", "--help").stdout.split())
    for code in ("0: nothing to do", "7: action is advised", "5: the store does not exist"):
        assert code in help_text
