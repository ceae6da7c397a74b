"""`hotlead outcomes`: a file of closed deals reaches the service, each deal once, whatever happens."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.errors import DataError, OutsideError, SettingsError
from features.settings import CrmSettings, load_settings
from serving.client.closed_deals_file import read_closed_deals
from serving.client.send_outcomes import SendReport, read_key, send_file
from serving.client.sender import OutcomeSender, open_client
from serving.web import api_keys as keys
from tests.helpers.service.live_service import FaultInjector, LiveService, free_port, running, served
from tests.helpers.small_crm import CARD, replace_text, run, small_crm

API_HEAD = ("lead_id", "outcome", "closed_at", "amount", "lost_reason", "id", "version")


@pytest.fixture
def crm_toml(tmp_path: Path) -> Path:
    path = small_crm(tmp_path)
    (tmp_path / "scorecard.toml").write_text(CARD, encoding="utf-8")
    return path


@pytest.fixture
def settings(crm_toml: Path) -> CrmSettings:
    return load_settings(crm_toml)


@pytest.fixture
def live(crm_toml: Path) -> Iterator[LiveService]:
    with served(crm_toml, HOTLEAD_OPEN="1") as service:
        yield service


def file(folder: Path, rows: Sequence[Sequence[object]], head: Sequence[str] = API_HEAD) -> Path:
    path = folder / "closed.csv"
    with path.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([head, *rows])
    return path


def many(count: int, amount: int = 5) -> list[tuple[object, ...]]:
    return [(f"L{i}", "won", "2025-03-01T09:00+09:00", amount, "", f"D{i}", "") for i in range(count)]


def send(path: Path, settings: CrmSettings, url: str, key: str | None = None) -> SendReport:
    return send_file(path, settings, url, key, path.parent / "out", print, lambda sent_rows, total_rows: None)


def stored(live: LiveService) -> list[dict[str, Any]]:
    """All outcomes in the store, by key and version."""
    engine = live.components.store._database.engine
    return pd.read_sql(
        'SELECT "key", version, lead_id, at, outcome, amount, lost_reason FROM outcomes ORDER BY 1, 2', engine
    ).to_dict("records")


# Reading.


def test_a_file_is_read_by_the_columns_of_crm_toml(crm_toml: Path) -> None:
    text = 'outcome = "stage"\nwon = ["Closed Won"]\nlost = ["Closed Lost"]\nignore = ["Open"]'
    replace_text(crm_toml, 'outcome = "outcome"\nwon = ["won"]\nlost = ["lost"]', text)
    replace_text(crm_toml, 'closed_at = "closed_at"', 'closed_at = "when"\nlost_reason = "why"')
    replace_text(crm_toml, 'name = "small"', 'name = "small"\ntime_zone = "Asia/Tokyo"')
    path = file(
        crm_toml.parent,
        [
            ("L1", "Closed Won", "2025-03-01 09:00:00.250", "1,200", ""),
            ("L2", "Closed Lost", "2025-03-01T09:00+01:00", "", "price"),
            ("L3", "Open", "", "", ""),
            ("L4", "", "", "", ""),
        ],
        ("lead_id", "stage", "when", "amount", "why"),
    )
    deals = read_closed_deals(path, load_settings(crm_toml))
    assert deals.bodies == [
        {
            "lead_id": "L1",
            "outcome": "won",
            "closed_at": "2025-03-01T00:00:00.250000+00:00",
            "amount": 1200.0,
        },
        {
            "lead_id": "L2",
            "outcome": "lost",
            "closed_at": "2025-03-01T08:00:00+00:00",
            "lost_reason": "price",
        },
    ]
    assert (deals.read, deals.still_open) == (4, 2)
    assert not deals.rejects.rows


def test_a_file_with_the_names_of_the_api_needs_nothing_of_crm_toml(crm_toml: Path) -> None:
    """Where the CRM's own export has other columns and other words."""
    replace_text(crm_toml, 'lead = "lead_id"\noutcome = "outcome"', 'lead = "Lead"\noutcome = "Stage"')
    replace_text(crm_toml, 'won = ["won"]\nlost = ["lost"]', 'won = ["Closed Won"]')
    path = file(crm_toml.parent, [("L1", "lost", "2025-03-01T00:00Z", 7, "price", "D1", 2)])
    assert read_closed_deals(path, load_settings(crm_toml)).bodies == [
        {
            "lead_id": "L1",
            "outcome": "lost",
            "closed_at": "2025-03-01T00:00:00+00:00",
            "amount": 7.0,
            "lost_reason": "price",
            "id": "D1",
            "version": 2,
        }
    ]


def test_won_is_never_taken_for_lost_where_the_column_has_the_name_of_the_api(crm_toml: Path) -> None:
    """crm.toml: all that is not "Closed Won" is lost."""
    replace_text(crm_toml, 'won = ["won"]\nlost = ["lost"]', 'won = ["Closed Won"]')
    path = file(crm_toml.parent, many(1))
    assert read_closed_deals(path, load_settings(crm_toml)).bodies[0]["outcome"] == "won"


def test_parquet_is_read_with_its_own_types(crm_toml: Path, settings: CrmSettings) -> None:
    path = crm_toml.parent / "closed.parquet"
    closed_at = pd.to_datetime(["2025-03-01T00:00Z", None])
    pd.DataFrame(
        {"lead_id": [7, 8], "outcome": ["won", "won"], "closed_at": closed_at, "version": [3, None]}
    ).to_parquet(path)
    deals = read_closed_deals(path, settings)
    assert deals.bodies == [
        {"lead_id": "7", "outcome": "won", "closed_at": "2025-03-01T00:00:00+00:00", "version": 3}
    ]
    assert [(r.row, r.column) for r in deals.rejects.rows] == [(2, "closed_at")]


def test_a_row_that_cannot_be_read_is_named_with_value_and_reason(settings: CrmSettings) -> None:
    good = many(1)[0]
    bad = {
        "": (0, "", "needs the id of its lead"),
        "when": (2, "yesterday", "is not a date"),
        "future": (2, "2999-01-01", "lies in the future"),
        "half": (6, "1.5", "whole number"),
        "zero": (6, "0", "whole number"),
        "word": (6, "two", "whole number"),
    }
    rows = [(*good[:index], value, *good[index + 1 :]) for index, value, _ in bad.values()]
    deals = read_closed_deals(file(settings.folder, [good, *rows]), settings)
    assert len(deals.bodies) == 1
    for (column, value, why), reject in zip(bad.values(), deals.rejects.rows, strict=True):
        reject = next(r for r in deals.rejects.rows if r.value == value)
        assert reject.column == API_HEAD[column]
        assert why in str(reject.reason)
    assert {r.row for r in deals.rejects.rows} == {2, 3, 4, 5, 6, 7}


def test_missing_columns_are_an_error(settings: CrmSettings) -> None:
    path = file(settings.folder, [("L1", "won", "2025-01-01")], ("lead_id", "outcome", "closed"))
    with pytest.raises(SettingsError, match=r"no 'closed_at'; nearest: 'closed'"):
        read_closed_deals(path, settings)


def test_deals_in_the_table_of_leads_are_told_by_its_id(crm_toml: Path) -> None:
    """The lead's own id is not taken for the id of the deal."""
    text = crm_toml.read_text()
    start, end = text.index("[deals]"), text.index("[activities]")
    deals = '[deals]\noutcome = "outcome"\nwon = ["won"]\nclosed_at = "closed_at"\n\n'
    crm_toml.write_text(text[:start] + deals + text[end:])
    replace_text(crm_toml, 'id = "lead_id"', 'id = "id"')
    path = file(crm_toml.parent, [("L1", "won", "2025-01-01")], ("id", "outcome", "closed_at"))
    assert read_closed_deals(path, load_settings(crm_toml)).bodies == [
        {"lead_id": "L1", "outcome": "won", "closed_at": "2025-01-01T23:59:59.999000+00:00"}
    ]


# Sending.


def test_each_deal_is_stored_once_however_often_it_is_sent(settings: CrmSettings, live: LiveService) -> None:
    path = file(settings.folder, many(2_300))
    first, second = send(path, settings, live.url), send(path, settings, live.url)
    assert (first.result.stored, first.result.already_known) == (2_300, 0)
    assert (second.result.stored, second.result.already_known) == (0, 2_300)
    outcomes = stored(live)
    assert len(outcomes) == 2_300
    assert outcomes[0]["lead_id"] == "L0"
    assert outcomes[0]["at"] == 1_740_787_200_000
    assert outcomes[0]["amount"] == 5.0


def test_the_export_of_the_crm_is_sent_without_ids(settings: CrmSettings, live: LiveService) -> None:
    report = send(settings.folder / "deals.csv", settings, live.url)
    assert report.result.stored == 290
    assert {row["outcome"] for row in stored(live)} == {"won", "lost"}
    assert all(row["key"].startswith("h-") for row in stored(live))


def test_all_conflicting_deals_are_reported_and_the_others_stored(
    settings: CrmSettings, live: LiveService
) -> None:
    """An answer names 50 of them."""
    send(file(settings.folder, many(120)), settings, live.url)
    path = file(settings.folder, [*many(120, amount=6), *many(130)[120:]])
    report = send(path, settings, live.url)
    assert sorted(report._conflict_ids) == sorted(f"D{i}" for i in range(120))
    assert (report.result.stored, report.result.already_known, report.result.new_or_known) == (0, 0, 10)
    assert len(stored(live)) == 130
    with report.rejects.open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["value"] for row in rows] == [f"D{i}" for i in range(120)]
    assert [row["row"] for row in rows] == [str(i + 1) for i in range(120)]
    assert any("`version`" in str(step) for step in report.next_steps())


def test_a_higher_version_corrects(settings: CrmSettings, live: LiveService) -> None:
    send(file(settings.folder, many(3)), settings, live.url)
    rows = [(*row[:6], 2) for row in many(3, amount=6)]
    assert send(file(settings.folder, rows), settings, live.url).result.stored == 3
    assert [row["amount"] for row in stored(live) if row["version"] == 2] == [6.0] * 3


def test_rejected_deals_are_set_aside_and_the_others_stored(settings: CrmSettings, live: LiveService) -> None:
    rows = many(200)
    for index in range(0, 180, 3):  # 60 rows: an answer names 50
        rows[index] = ("L" * 201, *rows[index][1:])
    report = send(file(settings.folder, rows), settings, live.url)
    assert report.result.stored == 140
    assert [one.position for one in report.result.rejected] == [*range(0, 180, 3)]
    text = report.rejects.read_text()
    assert "lead_id" in text
    assert "at most 200" in text or "200 characters" in text


def test_lists_are_cut_where_the_service_takes_smaller_bodies(crm_toml: Path, settings: CrmSettings) -> None:
    with served(crm_toml, HOTLEAD_OPEN="1", HOTLEAD_BODY_LIMIT="2000") as live:
        rows = many(100)
        rows[7] = (*rows[7][:4], "x" * 3_000, *rows[7][5:])
        report = send(file(settings.folder, rows), settings, live.url)
        assert report.result.stored == 99
        assert [one.position for one in report.result.rejected] == [7]


def test_a_connection_that_breaks_after_it_was_stored_stores_nothing_twice(
    crm_toml: Path, settings: CrmSettings
) -> None:
    faults = FaultInjector()
    faults.faults = [None, faults.break_connection, faults.break_connection]
    with served(crm_toml, faults, HOTLEAD_OPEN="1") as live:
        report = send(file(settings.folder, many(2_000)), settings, live.url)
        assert faults.requests == 4
        assert (report.result.stored, report.result.already_known) == (1_000, 1_000)
        assert len(stored(live)) == 2_000


def test_it_waits_as_long_as_the_service_asks(crm_toml: Path, settings: CrmSettings) -> None:
    waits: list[float] = []
    status = FaultInjector.status
    faults = FaultInjector(status(429, retry_after="3"), status(503, retry_after="7"), status(503))
    with served(crm_toml, faults, HOTLEAD_OPEN="1") as live, open_client(live.url, None) as client:
        deals = read_closed_deals(file(settings.folder, many(5)), settings)
        sender = OutcomeSender(client, print, sleep=waits.append)
        totals = sender.send(deals.bodies, lambda sent_rows, total_rows: None)
    assert waits == [3.0, 7.0, 1.0]
    assert totals.stored == 5


def test_the_rate_limit_of_a_key_only_slows_it_down(crm_toml: Path, settings: CrmSettings) -> None:
    with served(crm_toml, HOTLEAD_OPEN="1", HOTLEAD_RATE_LIMIT="2") as live:
        assert send(file(settings.folder, many(4_500)), settings, live.url).result.stored == 4_500


def test_an_outage_reports_the_number_of_stored_deals(settings: CrmSettings) -> None:
    app = FaultInjector.status(503, retry_after="30")
    with running(app) as url, open_client(url, None) as client:
        sender = OutcomeSender(client, print, patience=20.0)
        with pytest.raises(OutsideError, match=r"is not there \(it says 503.*nothing is stored twice"):
            sender.send([{"lead_id": "L"}], lambda sent_rows, total_rows: None)


def test_another_server_is_an_error(settings: CrmSettings) -> None:
    for status in (200, 301, 404, 405):
        with (
            running(FaultInjector.status(status, location="/x")) as url,
            pytest.raises(SettingsError, match=rf"answers {status}, not as Hotlead does.*--url"),
        ):
            send(file(settings.folder, many(1)), settings, url)


def test_nothing_is_sent_where_most_rows_cannot_be_read(settings: CrmSettings, live: LiveService) -> None:
    rows = [(*row[:2], "soon", *row[3:]) for row in many(10)]
    path = file(settings.folder, [*rows, *many(20)[10:]])
    with pytest.raises(DataError, match="max_reject_share"):
        send(path, settings, live.url)
    assert stored(live) == []
    assert "soon" in (settings.folder / "out" / "outcomes-rejects.csv").read_text()


@pytest.mark.parametrize("url", ["127.0.0.1:3000", "ftp://host", "http://", "http://h:port", ""])
def test_an_invalid_url_is_an_error(url: str) -> None:
    with pytest.raises(SettingsError, match="no URL of a service"):
        open_client(url, None)


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(SettingsError) as excinfo:
        open_client("ftp://user:geheim@host", None)
    assert "geheim" not in str(excinfo.value)


# The key.


def test_a_wrong_key_is_an_error_that_does_not_show_it(crm_toml: Path, settings: CrmSettings) -> None:
    keys_file = settings.folder / "hotlead-out" / "keys.json"
    _, good = keys.add(keys_file, "crm", "a")
    _, reviewer = keys.add(keys_file, "reviewer", "b")
    path = file(settings.folder, many(1))
    with served(crm_toml) as live:
        assert send(path, settings, live.url, good).result.stored == 1
        for key, status in ((good + "x", 401), (reviewer, 403)):
            with pytest.raises(SettingsError, match=f"does not take this API key \\({status}") as excinfo:
                send(path, settings, live.url, key)
            assert key not in str(excinfo.value)
        with pytest.raises(SettingsError, match=r"wants an API key.*HOTLEAD_KEY"):
            send(path, settings, live.url)


def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hl_1_a\n")
    assert read_key(tmp_path / "key", {"HOTLEAD_KEY": "hl_2_b"}) == "hl_1_a"
    assert read_key(None, {"HOTLEAD_KEY": "hl_2_b"}) == "hl_2_b"
    assert read_key(None, {"HOTLEAD_KEY": ""}) is None
    (tmp_path / "key").write_text(" \n")
    for path in (tmp_path / "key", tmp_path / "none", tmp_path):
        with pytest.raises(SettingsError, match="--key-file"):
            read_key(path, {})


@pytest.mark.parametrize("key", ["hl_1_a b", "hl_1_é", "hl_1\nX: y"])
def test_a_key_that_cannot_be_one_is_not_shown(key: str) -> None:
    with pytest.raises(SettingsError) as excinfo:
        open_client("http://127.0.0.1:3000", key)
    assert key not in str(excinfo.value)


# The command.


def test_the_command_sends_with_the_key_of_the_environment(crm_toml: Path) -> None:
    _, token = keys.add(crm_toml.parent / "hotlead-out" / "keys.json", "crm", "a")
    path = crm_toml.parent / "deals.csv"
    path.write_text(re.sub(r"(L0003),\w+", r"\1,maybe", path.read_text()))
    with served(crm_toml) as live:
        arguments = ("outcomes", path, crm_toml, "--url", live.url)
        completed = run(*arguments, env={"HOTLEAD_KEY": token})
        assert completed.returncode == 0, completed.stderr
        assert "Of 290 rows 289 were stored and 0 known already" in completed.stdout
        assert "'maybe' (1)" in completed.stdout
        assert "outcomes-rejects.csv" in completed.stdout
        assert token not in completed.stdout + completed.stderr
        json_completed = run(*arguments, "--json", env={"HOTLEAD_KEY": token})
    read = json.loads(json_completed.stdout)
    assert (read["stored"], read["known"], read["set_aside"]) == (0, 289, 1)
    assert json_completed.stderr == ""


def test_conflicting_deals_exit_with_4(crm_toml: Path, live: LiveService) -> None:
    folder = crm_toml.parent
    send(file(folder, many(2)), load_settings(crm_toml), live.url)
    completed = run("outcomes", file(folder, many(2, amount=9)), crm_toml, "--url", live.url)
    assert completed.returncode == 4, completed.stderr
    assert "not taken: 2 (D0, D1)" in completed.stdout


def test_an_unreachable_service_exits_with_5(crm_toml: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    completed = run("outcomes", crm_toml.parent / "deals.csv", crm_toml, "--url", url)
    assert completed.returncode == 5
    assert f"The service at {url} is not there" in completed.stderr
    assert "Traceback" not in completed.stderr
    assert "hotlead serve" in completed.stderr


def test_the_command_has_no_option_for_the_key_itself() -> None:
    completed = run("outcomes", "deals.csv", "--key", "hl_1_a")
    assert completed.returncode == 2
    assert "No such option" in completed.stderr
