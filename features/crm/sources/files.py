"""Files that hold one table, packed or not: what kind of file each is, and its bytes."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Literal, TypeAlias, cast

from features.crm.sources.refusals import refuse_other_kinds
from features.errors import DataError, OutsideError
from features.messages import abridge, as_message

FileKind: TypeAlias = Literal["csv", "json", "parquet", "workbook"]
_START = 65_536
_PARQUET, _JSON, _WORKBOOK = (".parquet", ".pq"), (".json", ".jsonl", ".ndjson"), (".xlsx", ".xlsm")
_JSON_STARTS = (b'{"', b"[{", b"{}", b"[]")
_SYSTEM_FILES = ("__MACOSX/", ".")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class TableFile:
    """A file of a known `kind`; `member` is the name of the table inside a .zip."""

    path: Path
    kind: FileKind
    member: str | None = None

    @property
    def is_packed(self) -> bool:
        return self.member is not None or self.path.suffix.lower() == ".gz"

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The unpacked bytes as a stream. Raises OutsideError while it cannot be read."""
        with _opened(self.path, self.member) as file:
            yield file

    @contextmanager
    def open_whole(self) -> Iterator[IO[bytes]]:
        """The unpacked bytes with any position; a packed file is unpacked in memory."""
        with self.open() as file:
            yield BytesIO(file.read()) if self.is_packed else file


def find_table_file(path: Path) -> TableFile:
    """The kind of a file by its first bytes, then by its name.

    Raises DataError for a file that holds no table, or several; OutsideError if it cannot be read.
    """
    member = _table_in_zip(path) if _is_plain_zip(path) else None
    name = member or path.name.lower().removesuffix(".gz")
    with _opened(path, member) as file:
        start = file.read(_START)
    return TableFile(path, _kind_of(path, name.lower(), start), member)


def read_error(path: Path, problem: BaseException) -> OutsideError:
    """The error for a file that is cut, damaged or protected."""
    why = as_message(getattr(problem, "strerror", None) or str(problem))
    return OutsideError("{path}: cannot be read ({why}). Is it whole? Export it again.", path=path, why=why)


def _kind_of(path: Path, name: str, start: bytes) -> FileKind:
    if start.startswith(b"PAR1") or name.endswith(_PARQUET):
        return "parquet"
    if start.startswith(b"PK\x03\x04"):
        _check_workbook(path, name)
        return "workbook"
    refuse_other_kinds(path, name, start)
    plain = start.removeprefix(_BYTE_ORDER_MARK).replace(b"\0", b"")
    compact = b"".join(plain.removeprefix(b"\xff\xfe")[:400].split())
    return "json" if name.endswith(_JSON) or compact.startswith(_JSON_STARTS) else "csv"


def _check_workbook(path: Path, name: str) -> None:
    """Raise DataError for a packed file that is no Excel workbook, OutsideError for a damaged one."""
    is_inside = path.suffix.lower() in (".gz", ".zip")
    try:
        names = {"xl/workbook.xml"} if is_inside and name.endswith(_WORKBOOK) else _member_names(path)
    except zipfile.BadZipFile as problem:
        raise read_error(path, problem) from None
    if "xl/workbook.xml" not in names:
        raise DataError(
            "{path}: is a packed file, but no Excel workbook (.xlsx). Save the table as .xlsx or CSV.",
            path=path,
        )


def _member_names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def _is_plain_zip(path: Path) -> bool:
    """Whether the file is a .zip of other files, and not an Office document."""
    try:
        with path.open("rb") as file:
            if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
                return False
        return not _member_names(path) & {"[Content_Types].xml", "mimetype"}
    except (zipfile.BadZipFile, OSError) as problem:
        raise read_error(path, problem) from None


def _table_in_zip(path: Path) -> str:
    """The name of the only file in a .zip."""
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    tables = [n for n in names if not any(part.startswith(_SYSTEM_FILES) for part in (n, Path(n).name))]
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError("{path}: holds no file; one table is needed.", path=path)
    raise DataError(
        "{path}: holds {count} files ({names}); one table is needed. Unpack it, and name the files that "
        "you need.",
        path=path,
        count=len(tables),
        names=abridge(tables, 12),
    )


@contextmanager
def _opened(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    try:
        if member is not None:
            with zipfile.ZipFile(path) as archive, archive.open(member) as packed:
                yield packed
        elif path.suffix.lower() == ".gz":
            with gzip.open(path, "rb") as unpacked:
                yield cast(IO[bytes], unpacked)
        else:
            with path.open("rb") as plain:
                yield plain
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as problem:
        raise read_error(path, problem) from None
