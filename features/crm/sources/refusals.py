"""Files that are no tables: what they are, and what to export instead."""

from __future__ import annotations

import re
from pathlib import Path

from features.errors import DataError
from features.messages import Message

_EXPORT = Message("Export the table as CSV or .xlsx, and name that file.")
_KINDS: tuple[tuple[bytes, Message, Message], ...] = (
    (b"%PDF", Message("is a PDF"), Message("Export the report's data, not its print, as CSV or .xlsx.")),
    (b"\x89PNG", Message("is a picture (PNG)"), _EXPORT),
    (b"\xff\xd8\xff", Message("is a picture (JPEG)"), _EXPORT),
    (b"GIF8", Message("is a picture (GIF)"), _EXPORT),
    (b"RIFF", Message("is a picture or a sound"), _EXPORT),
    (
        b"\xd0\xcf\x11\xe0",
        Message("is an old Excel workbook (.xls), or a workbook with a password"),
        Message("Open it in Excel and save it as .xlsx without a password."),
    ),
    (b"MIME-Version:", Message("is a web archive"), Message("Open it in Excel and save it as .xlsx or CSV.")),
    (b"BEGIN:V", Message("is a vCard or a calendar"), _EXPORT),
    (b"{\\rtf", Message("is a text document (RTF)"), _EXPORT),
    (b"\x1f\x8b", Message("is packed as gzip"), Message("Let its name end with .gz.")),
    (b"7z\xbc\xaf", Message("is packed as 7z"), Message("Unpack it, and name the file inside.")),
    (b"Rar!", Message("is packed as RAR"), Message("Unpack it, and name the file inside.")),
    (b"BZh", Message("is packed as bzip2"), Message("Unpack it, and name the file inside.")),
    (b"\xfd7zXZ", Message("is packed as xz"), Message("Unpack it, and name the file inside.")),
    (b"\x28\xb5\x2f\xfd", Message("is packed as zstd"), Message("Unpack it, and name the file inside.")),
    (b"ARROW1", Message("is an Arrow (Feather) file"), Message("Save the table as Parquet, CSV or .xlsx.")),
    (b"Obj\x01", Message("is an Avro file"), Message("Save the table as Parquet, CSV or .xlsx.")),
    (b"ORC", Message("is an ORC file"), Message("Save the table as Parquet, CSV or .xlsx.")),
    (
        b"PGDMP",
        Message("is a dump of PostgreSQL"),
        Message("Export each table as CSV (\\copy … csv header)."),
    ),
)
_MARKUP = re.compile(rb"\s*<(!doctype|\?xml|html|table|meta|head|body|workbook)\b", re.I)
_SQL_START = re.compile(
    r"\s*(--|/\*|(create|insert|drop|alter|use|set|begin|go|lock|start|pragma|if)\b)", re.I
)
_SQL = re.compile(
    r"^\s*(create\s+(table|database)|insert\s+(into\s+)?[\w.\[\]]+|drop\s+table|copy\s+\S+.*from\s+stdin)\b",
    re.I | re.M,
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def refuse_other_kinds(path: Path, name: str, start: bytes) -> None:
    """Raise DataError for a file whose first bytes show that it is neither a text table nor JSON."""
    for signature, nature, advice in _KINDS:
        if start.startswith(signature) and (len(signature) > 3 or _CONTROL.search(start)):
            raise DataError("{path}: {nature}, no table. {advice}", path=path, nature=nature, advice=advice)
    if start[257:262] == b"ustar":
        raise DataError(
            "{path}: is packed as tar, no table. Unpack it, and name the files that you need.", path=path
        )
    if start.startswith(b"SQLite format 3\0"):
        raise DataError(
            "{path}: is a SQLite database, no table. Name it by its URL: sqlite:///{name}",
            path=path,
            name=path.name,
        )
    if start[8:12] == b"DUCK":
        raise DataError(
            "{path}: is a DuckDB database, no table. Name it by its URL: duckdb:///{name}",
            path=path,
            name=path.name,
        )
    text = decode_start(start)
    if _MARKUP.match(text.encode()):
        raise DataError(
            "{path}: is a web page or XML (some systems name it .xls), no table. "
            "Open it in Excel and save it as .xlsx or CSV.",
            path=path,
        )
    if name.endswith(".sql") or (_SQL_START.match(text) and _SQL.search(text)):
        raise DataError(
            "{path}: is an SQL script, no table. Load it into a database and name its URL, or export "
            "each table as CSV with its column names.",
            path=path,
        )
    controls = len(_CONTROL.findall(text.encode()))
    if "\0" in text or controls > 0.01 * len(text):
        raise DataError(
            "{path}: is no text and of no kind that is known here. {advice}", path=path, advice=_EXPORT
        )


def decode_start(start: bytes) -> str:
    """The first bytes of a text file, without a byte order mark; what is not ASCII may be unreadable."""
    wide = wide_encoding(start)
    return start.decode(wide or "utf-8-sig", errors="replace").lstrip("\ufeff")


def wide_encoding(start: bytes) -> str | None:
    """The kind of UTF-16 that a file begins with, by its mark or by the zeros of its ASCII characters."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    first, second = start[:2_000:2].count(0), start[1:2_000:2].count(0)
    half = min(len(start), 2_000) / 2
    if second > 0.4 * half and first < 0.1 * half:
        return "utf-16-le"
    return "utf-16-be" if first > 0.4 * half and second < 0.1 * half else None
