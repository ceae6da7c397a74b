"""Leaks of each kind are found wherever the data can show them, and innocent columns are not named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.crm.audit import Audit, audit
from features.crm.findings import Finding
from tests.helpers.exports.planted_leaks import (
    DAYS,
    Export,
    Values,
    attribute,
    day_text,
    load_export,
    make_export,
    plant_leaks,
)

# What a tenth of the leads, the open ones, cannot show: 5% of a column is as much as chance may do.
BEYOND_PROOF = {0.05: {"range at close", "date at close"}}


def find(export: Export, folder: Path, planted: dict[str, Values], **document: Any) -> dict[str, Finding]:
    """The findings that call a column a leak or suspect it; all of hindsight speak both languages."""
    findings = audit(load_export(export, folder, planted, **document))
    named = {f.column: f for f in findings if f.column and f.severity in ("leak", "suspect")}
    for column, finding in named.items():
        assert f"'{column}'" in finding.en
        assert f"「{column}」" in finding.ja
        assert re.search("[ぁ-ん]", finding.ja)
        assert "nan" not in finding.en
    return named


@pytest.mark.parametrize("share", [0.05, 0.3, 0.95])
def test_what_is_written_at_the_close_is_found(share: float, tmp_path: Path) -> None:
    export = make_export(6_000, seed=3)
    planted = plant_leaks(export, share)
    assert find(export, tmp_path, planted).keys() == planted.keys() - BEYOND_PROOF.get(share, set())


def test_a_small_crm_shows_leaks_in_a_third_of_the_leads(tmp_path: Path) -> None:
    export = make_export(2_000, seed=1)
    planted = plant_leaks(export, 0.35)
    del planted["range at close"]
    assert find(export, tmp_path, planted).keys() == planted.keys()


@pytest.mark.parametrize("seed", range(20, 24))
@pytest.mark.parametrize("count", [400, 1_500])
def test_innocent_columns_are_not_named(count: int, seed: int, tmp_path: Path) -> None:
    """They predict, drift, tell slow leads from fast ones, or are why a lead is called."""
    loaded = load_export(make_export(count, seed), tmp_path, {})
    assert Audit.from_loaded(loaded).left_out == ()
    assert len({f.column for f in audit(loaded) if f.severity == "suspect"}) == 0


def since(export: Export, day: float, share: float, times: Values) -> Values:
    """A column of two words that says nothing before a day, and the outcome in a share of leads after it."""
    rng = export.random
    before = rng.choice(["a", "b", ""], len(export), p=[0.4, 0.4, 0.2])
    word = np.where(export.won, "a", "b")
    after = np.where(rng.random(len(export)) < share, word, "")
    return np.where(times < day, before, np.where(export.is_open, "", after))


@pytest.mark.parametrize("day", [0.25 * DAYS, 0.6 * DAYS, 0.8 * DAYS])
def test_a_column_that_tells_the_outcome_from_a_date_on_is_found(day: float, tmp_path: Path) -> None:
    export = make_export(4_000, seed=5)
    planted = {
        f"{basis} {share}": since(export, day, share, times)
        for share in (0.05, 0.3, 0.95)
        for basis, times in (("created", export.created), ("closed", export.closed))
        if share > 0.05 or day < DAYS / 2
    }
    findings = find(export, tmp_path, planted)
    assert findings.keys() == planted.keys()


def test_the_date_since_which_it_tells_is_named(tmp_path: Path) -> None:
    export = make_export(4_000, seed=5)
    word = np.where(export.won == (export.random.random(4_000) < 0.97), "a", "b")
    ordinary = export.random.choice(["a", "b"], 4_000)
    values = np.where(export.created < 560, ordinary, np.where(export.is_open, ordinary, word))
    finding = find(export, tmp_path, {"extra": values})["extra"]
    assert finding.code == "perfect_since"
    assert "created since 2025-0" in finding.en
    assert "before 0.5" in finding.en
    assert "以降に作成されたリード" in finding.ja


def test_days_and_hours_until_the_close_are_found(tmp_path: Path) -> None:
    export = make_export(1_500)
    days = np.minimum(export.closed, DAYS) - export.created
    planted = {
        "days": np.round(days),
        "hours": np.round(days * 24, 1),
        "of won": np.where(export.won, days, 9.0),
    }
    assert {f.code for f in find(export, tmp_path, planted).values()} == {"time_to_close"}


@pytest.mark.parametrize(
    ("share", "availability", "severity"), [(0.9, "today", "leak"), (0.1, "today", "suspect")]
)
def test_a_value_of_today_whose_history_changes_at_the_close(
    share: float, availability: str, severity: str, tmp_path: Path
) -> None:
    export = make_export(1_500)
    rows = write_history(export, share)
    findings = find(
        export, tmp_path, {"grade": rows}, **history_document(export, share, tmp_path, availability)
    )
    assert (findings["grade"].code, findings["grade"].severity) == ("changes_at_close", severity)
    assert 'known = "history"' in findings["grade"].en


@pytest.mark.parametrize(("share", "availability"), [(0.9, "history"), (0.0, "today")])
def test_a_history_that_is_used_or_changes_at_any_time_is_no_leak(
    share: float, availability: str, tmp_path: Path
) -> None:
    export = make_export(1_500)
    document = history_document(export, share, tmp_path, availability)
    assert "grade" not in find(export, tmp_path, {"grade": write_history(export, 0.0)}, **document)


def write_history(export: Export, share: float) -> Values:
    """The grade of today: "z" for leads of which it changed at the close."""
    changed = np.random.default_rng(1).random(len(export)) < share
    return np.where(changed & ~export.is_open, "z", export.random.choice(["a", "b"], len(export)))


def history_document(export: Export, share: float, folder: Path, availability: str) -> dict[str, Any]:
    changed = np.random.default_rng(1).random(len(export)) < share
    end = np.minimum(export.closed, DAYS)
    middle = export.created + export.random.random(len(export)) * (end - export.created)
    at_close = changed & ~export.is_open
    rows = [
        f"{i},grade,{day_text(day)},{'z' if is_changed else 'a'}"
        for i, (day, is_changed) in enumerate(
            zip(np.where(at_close, export.closed, middle).tolist(), at_close.tolist(), strict=True)
        )
        if is_changed or i % 3 == 0
    ]
    (folder / "changes.csv").write_text("\n".join(["lead,column,at,value", *rows]), encoding="utf-8")
    changes = {"source": "changes.csv", "lead": "lead", "at": "at", "column": "column", "value": "value"}
    return {
        "changes": changes,
        "features": {"grade": attribute("grade", availability), "source": attribute("source")},
    }


def test_columns_that_only_together_tell_open_from_closed_are_named(tmp_path: Path) -> None:
    """Each is set at the close of some leads to a value that many others have; together they show."""
    export, names = make_export(6_000, seed=2), [f"part {k}" for k in range(6)]
    rng = export.random
    planted: dict[str, Values] = {
        name: np.where(~export.is_open & (rng.random(6_000) < 0.25), "x", rng.choice(["x", "y", "z"], 6_000))
        for name in names
    }
    features = {name.replace(" ", "_"): attribute(name) for name in [*names, "source"]}
    findings = audit(load_export(export, tmp_path, planted, features=features))
    finding = next(f for f in findings if f.code == "tell_open_together")
    assert re.search(r"ROC AUC 0\.[678]\d, 0\.[67]\d–0\.\d\d; at most 0\.6 is expected", finding.en)
    assert re.search(r"Without .*'part \d'.* it is 0\.[56]\d\.", finding.en)
    assert "目安は0.6以下" in finding.ja


def test_columns_that_tell_the_fast_leads_are_only_noted(tmp_path: Path) -> None:
    """Partners' leads close four times as fast: known before the close, and no leak."""
    export = make_export(6_000, seed=2)
    is_partner = export.random.random(6_000) < 0.5
    closed = export.created + export.random.exponential(400, 6_000) * np.where(is_partner, 0.1, 1.0)
    fast = Export(
        export.created, closed, export.won, closed >= DAYS, export.meeting, export.innocent, export.seed
    )
    planted = {"partner": np.where(is_partner, "yes", "no")}
    findings = audit(load_export(fast, tmp_path, planted, features={"partner": attribute("partner")}))
    assert {f.code for f in findings if "open" in f.code or f.severity in ("leak", "suspect")} == set()
    assert "predicts_close" in {f.code for f in findings}
