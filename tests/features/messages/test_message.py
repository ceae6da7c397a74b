"""A message is one template in two languages; its values are messages, lists or plain values."""

from __future__ import annotations

import pickle

import pytest

from features.errors import DataError, InvalidValue, SettingsError, suggest_nearest
from features.messages import Message, MessageLines, as_message, quote, quote_all

MISSING = "{path}: there is no such file. Name the crm.toml of the service."


def test_an_error_is_english_as_text_and_japanese_by_the_catalogue() -> None:
    error = SettingsError(MISSING, path="crm.toml")
    assert str(error) == "crm.toml: there is no such file. Name the crm.toml of the service."
    assert error.text("en") == str(error)
    assert error.text("ja") == "crm.toml：ファイルがありません。サービスの crm.toml を指定してください。"


def test_a_template_without_a_translation_stays_english() -> None:
    assert Message("{count:,} unheard things", count=1234).text("ja") == "1,234 unheard things"


def test_a_text_without_values_may_have_braces() -> None:
    assert str(DataError('write { kind = "attribute" }')) == 'write { kind = "attribute" }'


def test_values_that_are_messages_are_translated_too() -> None:
    outer = Message("{problem} {hint}", problem=SettingsError(MISSING, path="a"), hint=quote("b"))
    assert outer.text("en") == "a: there is no such file. Name the crm.toml of the service. 'b'"
    assert outer.text("ja") == "a：ファイルがありません。サービスの crm.toml を指定してください。 「b」"


def test_lists_are_joined_with_the_commas_of_the_language() -> None:
    message = Message("{names}", names=quote_all(["a", "b"]))
    assert message.text("en") == "'a', 'b'"
    assert message.text("ja") == "「a」、「b」"


def test_a_list_that_is_quoted_stays_a_list() -> None:
    assert Message("got {value!r}", value=["a", 1]).text("en") == "got ['a', 1]"


def test_lines_are_a_line_each() -> None:
    assert MessageLines((quote("a"), "b")).text("ja") == "「a」\nb"


def test_equal_messages_are_one_key() -> None:
    assert len({quote("a"), quote("a"), quote("b"), Message("a")}) == 3


@pytest.mark.parametrize("error", [DataError("{a}", a=quote(1)), InvalidValue("a")])
def test_errors_pass_between_processes(error: DataError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.message == error.message


def test_a_text_of_a_library_is_recognised() -> None:
    text = "Invalid value for '--leads': Input should be greater than or equal to 500"
    assert as_message(text).text("en") == text
    assert as_message(text).text("ja") == "--leads の値が正しくありません。500以上の値を指定してください"
    assert as_message("{something else}").text("ja") == "{something else}"


def test_a_hint_names_the_nearest_or_all() -> None:
    assert suggest_nearest("crated", ["created", "lost_at"]).text("ja") == "近いもの：「created」"
    assert str(suggest_nearest("x", ["b", "a"])) == "known: 'a', 'b'"
    assert suggest_nearest("x", []).text("ja") == "指定できるものはありません"
