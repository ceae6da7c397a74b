from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.columns import split_levels
from features.derived.ngrams import BUCKETS, find_words, to_ngrams, word_ngrams
from features.derived.text_words import TextWords


@given(st.text(max_size=300))
def test_the_numbers_of_a_text_are_unchanged_by_a_second_reading(text: str) -> None:
    ngrams = to_ngrams(text)
    assert to_ngrams(ngrams) == ngrams
    assert all(0 <= int(number, 16) < BUCKETS for number in split_levels(ngrams) if number != ngrams)


@given(st.text(max_size=300))
def test_the_n_grams_of_a_word_are_among_those_of_its_text(text: str) -> None:
    in_text = set(split_levels(to_ngrams(text)))
    assert all(word_ngrams(word) <= in_text for word in find_words(text))


def test_the_hash_never_changes_because_models_store_it() -> None:
    assert to_ngrams("見積 Quote 12") == "␟059␟150␟43f␟489␟7a5␟d3c"


def test_width_case_and_digits_do_not_matter() -> None:
    assert to_ngrams("ＱＵＯＴＥ １２") == to_ngrams("quote 34")


def test_words_are_named_by_their_weight_and_direction() -> None:
    words = TextWords({"見積": 0.5, "quote": 0.9, "thesis": -0.7, "budget": 2.0})
    text = to_ngrams("見積: a quote for my thesis")
    assert words.select(text, 1.0) == ("quote", "見積")
    assert words.select(text, -1.0) == ("thesis",)
    assert words.select(text) == ("quote", "thesis", "見積")
