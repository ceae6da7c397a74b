"""docs/crm-toml.md has every table and key of crm.toml, and its examples are valid."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from features.docs.crm_toml import SECTIONS, TEXTS, build_page, keys_of
from features.settings import CrmSettings, parse_settings

PAGE = Path(__file__).parents[2] / "docs" / "crm-toml.md"
SMALLEST: dict[str, Any] = {
    "leads": {"source": "leads.csv", "id": "Id", "created_at": "Created"},
    "features": {"age": {"kind": "age"}},
}
EXAMPLES = re.findall(r"```toml\n(.*?)```", build_page(), re.DOTALL)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == build_page(), "run `make reference`"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_has_a_meaning_and_every_meaning_a_key(name: str) -> None:
    assert set(TEXTS[name].get("keys", {})) == set(keys_of(name))
    assert all(len(text) > 15 and text.endswith(".") for text in TEXTS[name].get("keys", {}).values())


def test_every_table_of_crm_toml_has_a_section() -> None:
    tables = {name for name in CrmSettings.model_fields if name not in keys_of("crm")} - {"folder"}
    assert tables == set(SECTIONS) - {"crm", "source", "targets"}


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split("\n")[0])
def test_every_example_is_valid(text: str) -> None:
    parse_settings({**SMALLEST, **tomllib.loads(text)}, Path("crm.toml"))


def test_there_is_an_example_for_every_section() -> None:
    assert len(EXAMPLES) == len(SECTIONS)
