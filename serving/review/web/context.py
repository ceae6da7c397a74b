"""What every template of the pages may use: the reader, the language, the time zone, and the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from features.kinds import Language
from serving.review.web.translations import translate_page
from serving.web.api_keys import Key


@dataclass(frozen=True)
class NavItem:
    """A page of the navigation: its name (site_<name> is its text), its path, and whether it is open."""

    name: str
    path: str
    is_current: bool


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """The values of one request. `key` is None until somebody is signed in; `csrf` is the token that marks
    the site's own forms; `message` says what the last form did; `now` is in ms UTC."""

    lang: Language
    zone: ZoneInfo
    company: str
    csrf: str
    method: str
    path: str
    query: Mapping[str, str]
    nav: tuple[NavItem, ...]
    key: Key | None
    message: str
    now: int

    def translate(self, name: str, /, **values: object) -> str:
        """A text of the pages in the reader's language."""
        return translate_page(name, self.lang, **values)
