import codecs
from pathlib import Path

import pytest

from features.crm.sources.encodings import find_encoding
from features.crm.sources.files import find_table_file
from features.crm.table_settings import Source
from features.crm.tables import read_rows
from features.errors import DataError
from tests.helpers.exports.initialised import csv_text, export_rows, init_text

pytestmark = pytest.mark.slow  # many exports, each through the whole of `hotlead init`

WORDS = [
    ("cp1252", ("Café", "Niño", "Société", "Müller")),
    ("cp1252", ("Téléphone", "Référence", "Web\xa0site")),
    ("cp1252", ("Téléphone", "Référence")),
    ("cp1252", ("Société générale", "qualité", "Télévente")),
    ("cp1252", ("GESTIÓN", "AÑO")),
    ("cp1252", ("5 €", "It’s", "“Web”")),
    ("cp1252", ("Þór", "Ísland")),
    ("cp1252", ("Größe GmbH",)),
    ("cp1250", ("Łódź", "Śląsk", "Źródło")),
    ("cp1250", ("Příjem", "Doporučení", "Plzeň")),
    ("cp1250", ("Győr", "Ajánlás", "Üzletfél")),
    ("cp1254", ("Müşteri", "Çalışan", "Kazanıldı")),
    ("cp1251", ("Москва", "Источник")),
    ("cp1253", ("Πηγή", "Ποσό")),
    ("mac_roman", ("Café", "Müller", "Señor")),
    ("cp932", ("展示会", "検索", "株式会社山田")),
    ("cp932", ("東京",)),
    ("cp932", ("ウェブ", "ﾃﾚｱﾎﾟ")),
    ("cp932", ("Web広告", "A社", "東")),
    ("cp932", ("①", "㈱山田")),
    ("euc_jp", ("展示会", "検索")),
]


@pytest.mark.parametrize(("encoding", "words"), WORDS)
def test_encodings_are_told_apart_by_the_words_that_they_give(
    tmp_path: Path, encoding: str, words: tuple[str, ...]
) -> None:
    rows = export_rows(words)
    result = init_text(tmp_path, csv_text(rows, separator=";"), encoding=encoding)
    assert result.file_format == {"separator": ";", "encoding": encoding}
    assert result.is_complete
    assert set(result.loaded.leads["source"].to_pylist()) == set(words)
    assert any(repr(" ".join(words[0].split())) in note for note in result.notes)


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_utf8_needs_no_key(tmp_path: Path, mark: bytes) -> None:
    result = init_text(tmp_path, mark + csv_text(export_rows(["展示会", "Café"])).encode())
    assert result.file_format == {}
    assert result.notes == ()
    assert result.is_complete


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_text_of_excel(tmp_path: Path, encoding: str) -> None:
    result = init_text(tmp_path, csv_text(export_rows(["Web", "展示会"]), separator="\t"), encoding=encoding)
    assert result.file_format == {"separator": "\t", "encoding": encoding}
    assert result.is_complete


def test_a_word_beyond_ascii_in_the_last_line_counts(tmp_path: Path) -> None:
    rows = [*export_rows(count=79), ["L9", "2026-01-01", "open", "", "Café", "5"]]
    assert init_text(tmp_path, csv_text(rows), encoding="cp1252").file_format == {"encoding": "cp1252"}


@pytest.mark.parametrize(("encoding", "words"), [("gb18030", ("客户", "来源")), ("big5", ("客戶", "來源"))])
def test_what_is_not_clear_is_no_guess(tmp_path: Path, encoding: str, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="or save the file as UTF-8 and run again"):
        init_text(tmp_path, csv_text(export_rows(words)), encoding=encoding)


def test_one_damaged_line_of_utf8_is_named(tmp_path: Path) -> None:
    lines = csv_text(export_rows(["展示会"]), line_end="\n").encode().split(b"\n")
    lines[6] = lines[6].replace("展".encode(), b"\xe5\xb1")
    with pytest.raises(DataError, match="It is UTF-8 but for line 7, which is damaged"):
        init_text(tmp_path, b"\n".join(lines))


def test_reading_names_the_encoding_that_fits(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("id;Catégorie\n1;Café\n".encode("cp1252"))
    for encoding in ("utf-8", "utf-16"):
        source = Source(source="a.csv", encoding=encoding, separator=";")
        with pytest.raises(DataError, match=rf'a.csv: is not {encoding}.*encoding = "cp1252".*Café'):
            read_rows(source, tmp_path)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp932"])
def test_utf8_is_never_read_as_an_older_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text("id,x\n1,Café 展示会\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf'is not {encoding}\. Name its encoding.*encoding = "utf-8"'):
        read_rows(Source(source="a.csv", encoding=encoding), tmp_path)
    (tmp_path / "a.csv").write_text("id,x\n1,Web\n", encoding="utf-8")
    assert read_rows(Source(source="a.csv", encoding=encoding), tmp_path).read == 1


@pytest.mark.parametrize(
    ("encoding", "words", "named"),
    [
        ("cp1252", ("Téléphone", "Référence", "Web\xa0site"), "cp932"),
        ("cp1252", ("Téléphone", "Référence"), "Shift_JIS"),
        ("cp932", ("展示会", "検索"), "latin-1"),
        ("euc_jp", ("展示会", "検索"), "cp932"),
    ],
)
def test_an_encoding_that_decodes_to_no_words_is_refused(
    tmp_path: Path, encoding: str, words: tuple[str, ...], named: str
) -> None:
    (tmp_path / "a.csv").write_bytes(csv_text(export_rows(words)).encode(encoding))
    with pytest.raises(DataError, match=rf'a.csv: is not {named}.*encoding = "{encoding}"'):
        read_rows(Source(source="a.csv", encoding=named), tmp_path)
    assert read_rows(Source(source="a.csv", encoding=encoding), tmp_path).read == 80


def test_the_whole_file_must_decode(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("id,x\n1,Café\n".encode("cp1252") + b"2,\x81\n")
    assert find_encoding(find_table_file(tmp_path / "a.csv")) is None
