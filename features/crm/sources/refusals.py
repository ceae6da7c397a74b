"""Files that are no tables: what they are, and what to export instead."""

from __future__ import annotations

import re
from pathlib import Path

from features.errors import DataError

_EXPORT = "Export the table as CSV or .xlsx, and name that file."
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF", "is a PDF", "Export the report's data, not its print, as CSV or .xlsx."),
    (b"\x89PNG", "is a picture (PNG)", _EXPORT),
    (b"\xff\xd8\xff", "is a picture (JPEG)", _EXPORT),
    (b"GIF8", "is a picture (GIF)", _EXPORT),
    (b"RIFF", "is a picture or a sound", _EXPORT),
    (
        b"\xd0\xcf\x11\xe0",
        "is an old Excel workbook (.xls), or a workbook with a password",
        "Open it in Excel and save it as .xlsx without a password.",
    ),
    (b"MIME-Version:", "is a web archive", "Open it in Excel and save it as .xlsx or CSV."),
    (b"BEGIN:V", "is a vCard or a calendar", _EXPORT),
    (b"{\\rtf", "is a text document (RTF)", _EXPORT),
    (b"\x1f\x8b", "is packed as gzip", "Let its name end with .gz."),
    (b"7z\xbc\xaf", "is packed as 7z", "Unpack it, and name the file inside."),
    (b"Rar!", "is packed as RAR", "Unpack it, and name the file inside."),
    (b"BZh", "is packed as bzip2", "Unpack it, and name the file inside."),
    (b"\xfd7zXZ", "is packed as xz", "Unpack it, and name the file inside."),
    (b"\x28\xb5\x2f\xfd", "is packed as zstd", "Unpack it, and name the file inside."),
    (b"SQLite format 3\0", "is a SQLite database", "Name it by its URL: sqlite:///{name}"),
    (b"ARROW1", "is an Arrow (Feather) file", "Save the table as Parquet, CSV or .xlsx."),
    (b"Obj\x01", "is an Avro file", "Save the table as Parquet, CSV or .xlsx."),
    (b"ORC", "is an ORC file", "Save the table as Parquet, CSV or .xlsx."),
    (b"PGDMP", "is a dump of PostgreSQL", "Export each table as CSV (\\copy … csv header)."),
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
            raise DataError(f"{path}: {nature}, no table. {advice.format(name=path.name)}")
    if start[257:262] == b"ustar":
        raise DataError(f"{path}: is packed as tar, no table. Unpack it, and name the files that you need.")
    if start[8:12] == b"DUCK":
        raise DataError(f"{path}: is a DuckDB database. Name it by its URL: duckdb:///{path.name}")
    text = decode_start(start)
    if _MARKUP.match(text.encode()):
        raise DataError(
            f"{path}: is a web page or XML (some systems name it .xls), no table. "
            "Open it in Excel and save it as .xlsx or CSV."
        )
    if name.endswith(".sql") or (_SQL_START.match(text) and _SQL.search(text)):
        raise DataError(
            f"{path}: is an SQL script, no table. Load it into a database and name its URL, or export "
            "each table as CSV with its column names."
        )
    controls = len(_CONTROL.findall(text.encode()))
    if "\0" in text or controls > 0.01 * len(text):
        raise DataError(f"{path}: is no text and of no kind that is known here. {_EXPORT}")


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
