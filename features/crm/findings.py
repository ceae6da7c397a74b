"""Findings of the audit, worded in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from features.kinds import Language

Severity: TypeAlias = Literal["leak", "suspect", "warning", "note"]
"""leak: certainly known only after the outcome; suspect: evidence for that; warning: the figures would
mislead; note: for information."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding; `is_used` says whether a feature of crm.toml reads the `column`."""

    code: str
    severity: Severity
    en: str
    ja: str
    column: str | None = None
    is_used: bool = False

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return get_args(Severity).index(self.severity)

    def text(self, lang: Language) -> str:
        return self.ja if lang == "ja" else self.en

    def to_dict(self, lang: Language) -> dict[str, Any]:
        """The finding as JSON, worded in `lang`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "column": self.column,
            "used": self.is_used,
            "text": self.text(lang),
        }
