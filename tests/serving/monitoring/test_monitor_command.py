"""`hotlead monitor`: in the terminal, as JSON and as a page, with exit codes that say whether to act."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from features.clock import now_ms
from tests.helpers.served_builder import Company, company, live
from tests.helpers.small_crm import run
from tests.helpers.stores import opened

ADVICE = {"en": "The world moved", "ja": "市場の傾向が変わりました"}


def made(folder: Path, bias: float = 0.0, channels: tuple[str, ...] = ("referral", "ads")) -> Company:
    """A company whose service has answered for two months until today."""
    told = company(folder)
    with opened(told.settings.store_url, told.settings.spool) as store:
        live(store, told.model, now_ms(), bias, channels)
    return told


def monitor(told: Company, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    return run("monitor", told.settings.crm, *arguments, env=env)


def read(told: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(told.stdout)


def test_where_all_is_well_the_command_ends_with_0(tmp_path: Path) -> None:
    told = monitor(made(tmp_path), "--json")
    assert told.returncode == 0, told.stderr
    found = read(told)
    assert found["advice"] == "fine"
    (version,) = found["performance"]
    assert version["judged"] == 1_000
    assert version["calibration"]["value"] <= version["calibration_bar"]
    assert set(found["thresholds"]) == {"min_wins", "min_judged", "calibration", "little", "much"}
    assert found["trained_through"] == "2026-01-31"


def test_a_world_that_moved_is_told_in_both_languages_and_on_a_page(tmp_path: Path) -> None:
    there = made(tmp_path, bias=0.3)
    for lang, advice in ADVICE.items():
        page = tmp_path / f"{lang}.html"
        told = monitor(there, "--lang", lang, "--html", page)
        assert told.returncode == 7, told.stderr
        assert advice in "".join(told.stdout.splitlines())
        assert str(page) in told.stdout.replace("\n", "")
        html = page.read_text(encoding="utf-8")
        assert advice in html
        assert there.model in html
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)


def test_a_feature_that_shifted_is_named(tmp_path: Path) -> None:
    told = monitor(made(tmp_path, channels=("ads", "fair")), "--json")
    assert told.returncode == 7, told.stderr
    found = read(told)
    assert found["advice"] == "look_at_this_feature"
    assert "channel" in found["text"]
    assert found["shifts"]["channel"]["index"] >= found["thresholds"]["much"]


def test_since_leaves_out_older_answers(tmp_path: Path) -> None:
    there = made(tmp_path, bias=0.3)
    told = monitor(there, "--json", "--since", "2099-01-01")
    assert told.returncode == 0, told.stderr
    assert read(told)["performance"] == []
    assert monitor(there, "--since", "yesterday").returncode == 2


def test_an_empty_store_tells_too_little_and_what_is_missing(tmp_path: Path) -> None:
    there = company(tmp_path)
    with opened(there.settings.store_url, there.settings.spool):
        pass
    told = monitor(there)
    assert told.returncode == 0, told.stderr
    assert "200 more judged leads and 20 more wins" in " ".join(re.sub("[│╭╮╰╯─]", " ", told.stdout).split())


@pytest.mark.parametrize("url", ["", "postgresql://nobody:secret@127.0.0.1:1/none"])
def test_without_a_store_or_while_it_is_away_the_command_ends_with_5(tmp_path: Path, url: str) -> None:
    told = monitor(company(tmp_path), HOTLEAD_STORE_URL=url)
    assert told.returncode == 5
    assert "store" in told.stderr
    assert "secret" not in told.stderr + told.stdout
    assert "Traceback" not in told.stderr
    assert not (tmp_path / "hotlead-out" / "store.db").exists()


def test_the_exit_codes_stand_in_the_help() -> None:
    told = " ".join(run("monitor", "--help").stdout.split())
    for code in ("0: all is well", "7: there is something to do", "5: the store is away"):
        assert code in told
