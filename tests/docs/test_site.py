"""The documentation as a website: built without a warning, and nothing loaded from other servers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REVIEWER_PAGES = ("data-protection", "first-five-minutes", "glossary", "reviewers")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, from a copy of docs/."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    completed = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return folder / "site"


class AssetParser(HTMLParser):
    """Collects the addresses of all that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_loaded = tag == "link" and values.get("rel") not in ("canonical", "alternate", "next", "prev")
        names = ["src", "srcset", "poster", "data", *(["href"] if is_loaded else [])]
        self.addresses += [value for name in names if (value := values.get(name))]


def read_assets(page: Path) -> list[str]:
    parser = AssetParser()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.addresses


def test_every_page_is_in_the_site_and_in_the_navigation(site: Path) -> None:
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    for source in (ROOT / "docs").glob("*.md"):
        assert (site / f"{source.stem}.html").is_file(), source.name
        assert f'"{source.name}"' in navigation, source.name


@pytest.mark.parametrize("name", REVIEWER_PAGES)
def test_pages_for_reviewers_exist_in_both_languages(site: Path, name: str) -> None:
    for suffix in ("", ".ja"):
        assert (site / f"{name}{suffix}.html").is_file()
    assert f"({name}.ja.md)" in (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert f"({name}.md)" in (ROOT / "docs" / f"{name}.ja.md").read_text(encoding="utf-8")


def test_nothing_is_loaded_from_other_servers(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) >= 15
    for page in pages:
        assets = read_assets(page)
        assert assets
        assert [address for address in assets if re.match(r"(https?:)?//", address)] == [], page.name
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text), style.name


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Start\n\n[nowhere](nowhere.md)\n", encoding="utf-8")
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "x"\n', encoding="utf-8")
    completed = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert completed.returncode != 0
    assert "does not exist" in completed.stdout + completed.stderr
