"""What the audit found, each finding in words of both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from features.kinds import Language

Severity: TypeAlias = Literal["leak", "suspect", "warning", "note"]
"""leak: surely known only after the outcome; suspect: evidence for that; warning: the figures would
mislead; note: good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing that would make the model lie, or that its reader should know."""

    code: str
    severity: Severity
    en: str
    ja: str
    column: str | None = None
    is_used: bool = False

    def text(self, lang: Language) -> str:
        return self.ja if lang == "ja" else self.en
