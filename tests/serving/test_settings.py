"""The settings of the service from environment variables."""

from pathlib import Path

import pytest

from features.errors import SettingsError
from serving.settings import MIB, ServiceSettings, shown_url

read = ServiceSettings.from_environment


def test_defaults_are_beside_crm_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read({})
    out = tmp_path / "hotlead-out"
    assert (settings.crm, settings.out, settings.spool) == (tmp_path / "crm.toml", out, out / "spool")
    assert (settings.keys_file, settings.bundles) == (out / "keys.json", out / "bundles")
    assert settings.store_url == f"sqlite:///{out / 'store.db'}"
    assert (settings.body_limit, settings.rate_limit, settings.retention_days) == (32 * MIB, 1000, 730)
    assert (settings.open_on_loopback, settings.log_level) == (False, "info")


def test_out_is_beside_the_crm_toml_of_the_variable(tmp_path: Path) -> None:
    assert read({"HOTLEAD_CRM": str(tmp_path / "a" / "b.toml")}).out == tmp_path / "a/hotlead-out"


def test_every_setting_has_a_variable(tmp_path: Path) -> None:
    settings = read(
        {
            "HOTLEAD_OUT": str(tmp_path),
            "HOTLEAD_KEYS_FILE": "/k.json",
            "HOTLEAD_BUNDLES": "/b",
            "HOTLEAD_OPEN": "Yes",
            "HOTLEAD_BODY_LIMIT": "2048",
            "HOTLEAD_RATE_LIMIT": "0.5",
            "HOTLEAD_RETENTION_DAYS": "30",
            "HOTLEAD_LOG_LEVEL": "DEBUG",
            "HOTLEAD_STORE_URL": "postgresql://u:p@h/n",
        }
    )
    assert (settings.keys_file, settings.bundles, settings.out) == (Path("/k.json"), Path("/b"), tmp_path)
    assert (settings.open_on_loopback, settings.body_limit, settings.rate_limit) == (True, 2048, 0.5)
    assert (settings.retention_days, settings.log_level) == (30, "debug")
    assert settings.store_url == "postgresql+psycopg://u:p@h/n"


def test_an_empty_variable_counts_as_not_set() -> None:
    names = ("OUT", "STORE_URL", "STORE_URL_FILE", "OPEN", "BODY_LIMIT", "LOG_LEVEL")
    assert read({f"HOTLEAD_{name}": "" for name in names}) == read({})


def test_the_url_can_lie_in_a_secret_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgres://u:p@h/n\n")
    settings = read({"HOTLEAD_STORE_URL_FILE": str(secret)})
    assert settings.store_url == "postgresql+psycopg://u:p@h/n"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("HOTLEAD_OPEN", "maybe", "1 (yes) or 0 (no)"),
        ("HOTLEAD_BODY_LIMIT", "32MB", "a number from 1,024"),
        ("HOTLEAD_BODY_LIMIT", "10", "a number from 1,024"),
        ("HOTLEAD_BODY_LIMIT", "2000.5", "a whole number"),
        ("HOTLEAD_RATE_LIMIT", "-1", "a number from 0"),
        ("HOTLEAD_RATE_LIMIT", "nan", "a number from 0"),
        ("HOTLEAD_RETENTION_DAYS", "0", "a number from 1 to 36,500"),
        ("HOTLEAD_LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("HOTLEAD_STORE_URL", "mysql://h/n", "postgresql://"),
        ("HOTLEAD_STORE_URL", "store.db", "sqlite:////PATH"),
        ("HOTLEAD_STORE_URL_FILE", "/there/is/none", "No such file"),
    ],
)
def test_an_invalid_value_is_an_error_with_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as excinfo:
        read({name: value})
    assert name in str(excinfo.value)
    assert allowed in str(excinfo.value)
    assert value in str(excinfo.value) or "://" in str(excinfo.value)


def test_a_url_and_a_file_are_not_both_allowed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="are both set"):
        read({"HOTLEAD_STORE_URL": "sqlite:///x", "HOTLEAD_STORE_URL_FILE": str(tmp_path)})


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
def test_a_secret_file_without_a_url_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "url").write_bytes(content)
    with pytest.raises(SettingsError, match="HOTLEAD_STORE_URL_FILE"):
        read({"HOTLEAD_STORE_URL_FILE": str(tmp_path / "url")})


def test_no_password_is_ever_shown() -> None:
    url = "postgresql://anna:s3cret@host:5432/name?password=s3cret&user=anna"
    settings = read({"HOTLEAD_STORE_URL": url})
    assert "s3cret" not in repr(settings)
    assert settings.shown_store == "postgresql+psycopg://host:5432/name"
    with pytest.raises(SettingsError) as excinfo:
        read({"HOTLEAD_STORE_URL": url.replace("postgresql", "oracle")})
    assert "s3cret" not in str(excinfo.value)
    assert "host:5432" in str(excinfo.value)


@pytest.mark.parametrize("url", ["http://[::1", "s3cret@host", "s3cret"])
def test_a_broken_url_is_not_shown_at_all(url: str) -> None:
    assert "s3cret" not in shown_url(url)
