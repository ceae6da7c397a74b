"""The audit: finds what would mislead a model, and the features to leave out of training.

Every column of the leads' and deals' tables is checked, whether crm.toml uses it or not. The checks of
single columns (column_checks) find those that are filled for one outcome only, that predict almost
perfectly alone, that hold dates after the close, that count later events, that tell open leads from closed
ones of the same age, or that have a value of one outcome only. They cannot see that a value was
overwritten later with a plausible one; columns named like a summary of the deal (last, final, elapsed, total
days, stage ...) are therefore suspected on less evidence. The other checks (table_checks) are about the data
as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from features.bots.report import check_bots
from features.crm.column_checks import check_columns, used_columns
from features.crm.findings import Finding
from features.crm.hindsight.together import check_together
from features.crm.joining.left_out import check_left_out
from features.crm.load import Loaded
from features.crm.table_checks import check_tables


@dataclass(frozen=True)
class Audit:
    """The findings, most severe first, and the names of the features to leave out, sorted.

    Those of segments that are no feature are left out on suspicion: nobody said when they are known.
    """

    findings: list[Finding]
    left_out: tuple[str, ...]

    @staticmethod
    def from_loaded(loaded: Loaded) -> Audit:
        """Audit a CRM as it was read."""
        findings = audit(loaded)
        left_out = leaking_features(findings, loaded) | doubtful_segments(findings, loaded)
        return Audit(findings, tuple(sorted(left_out)))


def audit(loaded: Loaded, of_columns: Sequence[Finding] | None = None) -> list[Finding]:
    """All findings, most severe first. `of_columns` are those on single columns if the same data were
    audited before (`check_leads`), perhaps with other features."""
    if of_columns is None:
        of_columns = check_leads(loaded)
    columns_in_use = used_columns(loaded)
    findings = [replace(f, is_used=f.column in columns_in_use) for f in of_columns]
    findings += [*check_tables(loaded), *check_left_out(loaded), *check_bots(loaded.crm)]
    return sorted(findings, key=lambda f: (f.rank, not f.is_used))


def check_leads(loaded: Loaded) -> list[Finding]:
    """The findings that come from comparing leads: on each column alone, and on those of all features."""
    of_columns = list(check_columns(loaded))
    return [*of_columns, *check_together(loaded, of_columns)]


def leaking_features(findings: list[Finding], loaded: Loaded) -> set[str]:
    """The features of columns that certainly leak, except those with insist = true in crm.toml."""
    leaking_columns = {f.column for f in findings if f.severity == "leak"}
    return {
        use.feature
        for use in loaded.settings.table.column_uses
        if use.column in leaking_columns and not use.insist and use.availability != "history"
    }


def doubtful_segments(findings: list[Finding], loaded: Loaded) -> set[str]:
    """The names of segments that are no feature, of columns that may have been filled after the outcome."""
    doubtful = {f.column for f in findings if f.severity in ("leak", "suspect")}
    return {n for n, a in loaded.settings.segment_attributes.items() if a.column in doubtful}
