"""Rejected rows and values, with the reason for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from features.crm.values.csv_output import BYTE_ORDER_MARK, csv_text
from features.errors import DataError
from features.files import atomic_file
from features.kinds import Language
from features.messages import Message, MessageLines, to_text

_SHOWN = 3
_Group: TypeAlias = tuple[str, str, Message, str]


@dataclass(frozen=True)
class Reject:
    """One rejected row or value.

    `table` is the part of crm.toml ("leads", "deals", ...), `file` the file or table of the
    database; `row` counts its data rows from 1.
    """

    table: str
    file: str
    row: int
    column: str
    value: str | Message
    reason: Message


LeftOutReason: TypeAlias = Literal[
    "skipped",
    "skipped_lead",
    "no_lead",
    "no_deal",
    "unknown_contact",
    "id_forms",
    "neither",
    "undated_lost",
    "planned",
]


@dataclass(frozen=True)
class LeftOut:
    """A number of rows of a `table` that crm.toml leaves out, or joins by another form of their id."""

    table: str
    column: str
    reason: LeftOutReason
    count: int


@dataclass
class Rejects:
    """All rejects of a run: complete `rows`, and single `values` of rows that are used.

    `notes` count rows that are not wrong, so they are no rejects.
    """

    rows: list[Reject] = field(default_factory=list)
    values: list[Reject] = field(default_factory=list)
    notes: list[LeftOut] = field(default_factory=list)
    read: Counter[str] = field(default_factory=Counter)

    def count_left_out(self, table: str) -> int:
        """The number of rejected rows of a table."""
        return len({(r.file, r.row) for r in self.rows if r.table == table})

    def check(
        self, share: float, path: Path, shares: Mapping[str, float] | None = None, lang: Language = "en"
    ) -> None:
        """Raise DataError if more than `share` of a table's rows (or its own in `shares`) are rejected."""
        for table, read in self.read.items():
            left_out, max_share = self.count_left_out(table), (shares or {}).get(table, share)
            if left_out > max_share * read:
                self.write(path, lang)
                raise DataError(
                    "{table}: {left_out:,} of {read:,} rows cannot be used, more than "
                    "max_reject_share = {max_share:g} allows.\n{summary}\n"
                    "Each is named in {path}. Mend the export or crm.toml, then run again.",
                    table=table,
                    left_out=left_out,
                    read=read,
                    max_share=max_share,
                    summary=self.summary(table),
                    path=path,
                )

    def summary(self, table: str | None = None) -> MessageLines:
        """One line per reason, most rows first, with a few of the values."""
        groups: dict[_Group, Counter[str | Message]] = {}
        for effect, rejects in (("left out", self.rows), ("emptied", self.values)):
            for r in rejects:
                if table in (None, r.table):
                    groups.setdefault((r.table, r.column, r.reason, effect), Counter())[r.value] += 1
        ranked = sorted(groups.items(), key=lambda group: -group[1].total())
        return MessageLines(tuple(_format_line(*key, values) for key, values in ranked))

    def write(self, path: Path, lang: Language = "en") -> None:
        """Write all rejects as CSV, the reasons in `lang`; without rejects an existing file is removed.

        Values that are not ASCII get a byte order mark, so that Excel reads them as UTF-8.
        """
        if not self.rows and not self.values:
            path.unlink(missing_ok=True)
            return
        head = ("table", "file", "row", "column", "value", "reason", "left_out")
        units = (("row", self.rows), ("value", self.values))
        rows = ((*_format_cells(reject, lang), unit) for unit, rejects in units for reject in rejects)
        text = csv_text(head, rows)
        with atomic_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            file.write(text if text.isascii() else BYTE_ORDER_MARK + text)


def _format_cells(reject: Reject, lang: Language) -> tuple[object, ...]:
    value, reason = to_text(reject.value, lang), reject.reason.text(lang)
    return reject.table, reject.file, reject.row, reject.column, value, reason


def _format_line(
    table: str, column: str, reason: Message, effect: str, values: Counter[str | Message]
) -> Message:
    """One line of the summary, with the most common values and their counts."""
    common = [Message("{value!r} ({count:,})", value=v, count=n) for v, n in values.most_common(_SHOWN)]
    more = len(values) - _SHOWN
    shown = Message("{values} and {more:,} more values", values=common, more=more) if more > 0 else common
    location = Message("{table}, column {column}", table=table, column=column) if column else table
    return Message(
        "  {location}: {count:,} rows left out, {reason}: {values}"
        if effect == "left out"
        else "  {location}: {count:,} values emptied, {reason}: {values}",
        location=location,
        count=values.total(),
        reason=reason,
        values=shown,
    )
