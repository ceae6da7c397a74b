"""The page on CRM recipes lists every recipe and the headers by which it is recognised."""

import tomllib
from pathlib import Path

import pytest

from features.crm.propose.recipes import FOLDER
from features.crm.table_settings import DealsTable, LeadsTable

PAGE = (Path(__file__).parents[2] / "docs/crm-recipes.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_every_recipe_is_listed(file: Path) -> None:
    recipe = tomllib.loads(file.read_text(encoding="utf-8"))
    assert f"### {recipe['name']}" in PAGE
    for table in recipe["tables"]:
        assert f"| {table['object']} |" in PAGE
        for headers in table["fingerprints"]:
            assert " + ".join(f"`{header}`" for header in headers) in PAGE


def test_the_keys_of_the_page_exist() -> None:
    keys = {*LeadsTable.model_fields, *DealsTable.model_fields}
    new_keys = [
        "deal",
        "lead_separator",
        "skip_where",
        "lost_where",
        "leave_out",
        "open_where",
        "lost_at",
        "undated_lost",
    ]
    assert keys >= {*new_keys, "max_reject_share", "id"}
    assert all(key in PAGE for key in new_keys)
