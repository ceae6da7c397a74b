from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import encode_texts, merge_categories, normalize_text


@pytest.mark.parametrize(
    "spellings",
    [
        ("true", "TRUE", "True", "1", "1.0", "はい", "yes", "ＴＲＵＥ", " true "),
        ("false", "FALSE", "0", "0.0", "いいえ", "No"),
        ("5", "5.0", "５", " 5 ", "5."),
        ("Web site", "WEB SITE", "Ｗｅｂ　ｓｉｔｅ", "web  site"),
        ("ｶﾀﾛｸﾞ", "カタログ"),
        ("Straße", "STRASSE"),
    ],
)
def test_spellings_of_one_value(spellings: tuple[str, ...]) -> None:
    assert len({normalize_text(text) for text in spellings}) == 1


@pytest.mark.parametrize(
    "values", [("5", "5.5", "05"), ("A", "B"), ("-1", "1"), ("yes", "no"), ("1.5", "15"), ("かい", "がい")]
)
def test_other_values_stay_apart(values: tuple[str, ...]) -> None:
    assert len({normalize_text(text) for text in values}) == len(values)


@given(st.text(max_size=20))
def test_a_normal_form_is_its_own(text: str) -> None:
    assert normalize_text(normalize_text(text)) == normalize_text(text)


def test_categories_merge_into_the_commonest_spelling() -> None:
    column = merge_categories(encode_texts(["web", "Web", None, "fair", "Web", "WEB"]))
    assert column.to_list() == ["Web", "Web", None, "fair", "Web", "Web"]
    assert column.categories == ("Web", "fair")


def test_a_column_without_variants_is_unchanged() -> None:
    column = encode_texts(["a", "b", None])
    assert merge_categories(column) is column
