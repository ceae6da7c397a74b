"""Pages as HTML files, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from features.files import atomic_file
from features.kinds import Language
from scoring.pages.page import Page, to_html

LANGUAGES: tuple[Language, ...] = ("en", "ja")


def render_pages(page: Callable[[Language], Page]) -> dict[Language, str]:
    return {lang: to_html(page(lang)) for lang in LANGUAGES}


def write_pages(out: Path, name: str, pages: Mapping[Language, str]) -> dict[Language, Path]:
    """Pages by language, as files such as comparison-ja.html."""
    written: dict[Language, Path] = {}
    for lang, page in pages.items():
        written[lang] = out / f"{name}-{lang}.html"
        with atomic_file(written[lang]) as part:
            part.write_text(page, encoding="utf-8")
    return written
