"""`hotlead serve`: checks before it starts, and the message once it runs."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from features.errors import OutsideError, SettingsError
from features.settings import load_settings
from serving.runtime.address import ListenAddress
from serving.runtime.serve import check_access, curl_examples, example_activity, startup_message
from serving.settings import ServiceSettings
from serving.web.api_keys import add
from tests.conftest import Demo
from tests.helpers.small_crm import run, small_crm


def settings(folder: Path, is_open: bool = False) -> ServiceSettings:
    return ServiceSettings.from_environment(
        {"HOTLEAD_CRM": str(folder / "crm.toml"), "HOTLEAD_OPEN": "1" if is_open else "0"}
    )


def test_without_keys_only_open_on_this_machine_is_accepted(tmp_path: Path) -> None:
    loopback, everywhere = ListenAddress("127.0.0.1", 3000), ListenAddress("0.0.0.0", 3000)
    check_access(settings(tmp_path, is_open=True), loopback)
    with pytest.raises(SettingsError, match="there is no API key"):
        check_access(settings(tmp_path), loopback)
    with pytest.raises(SettingsError, match=r"0\.0\.0\.0 can be\s+reached by others"):
        check_access(settings(tmp_path, is_open=True), everywhere)
    add(settings(tmp_path).keys_file, "crm", "ours")
    check_access(settings(tmp_path), everywhere)


def test_a_port_in_use_or_a_bad_host_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(OutsideError, match="choose another with --port"):
            ListenAddress("127.0.0.1", listener.getsockname()[1]).check()
    with pytest.raises(SettingsError, match="is no address"):
        ListenAddress("example", 3000).check()


def test_the_command_reports_errors_before_it_starts(tmp_path: Path) -> None:
    completed = run("serve", small_crm(tmp_path))
    assert completed.returncode == 3
    assert "hotlead keys add" in completed.stderr
    completed = run("serve", tmp_path / "nowhere.toml", "--open")
    assert completed.returncode == 3
    assert "there is no such file" in completed.stderr


def test_the_example_commands_fit_the_crm(demo: Demo, tmp_path: Path) -> None:
    crm = load_settings(demo.crm_toml)
    assert example_activity(crm) in ("quote_request", "meeting_request", "inquiry")
    lines = curl_examples(crm, "http://127.0.0.1:3000", free=True)
    assert [line.partition("3000")[2].split()[0] for line in lines] == [
        "/v1/activities",
        "/v1/score",
        "/v1/hot",
    ]
    assert "authorization" not in "".join(lines)
    body = json.loads(lines[0].partition("-d '")[2].rstrip("'"))
    assert body["type"] == example_activity(crm)
    message = str(startup_message(crm, settings(tmp_path), ListenAddress("127.0.0.1", 3000)))
    assert "Authorization: Bearer KEY" in message
