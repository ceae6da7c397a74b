from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.columns import TEXT_FORM, Column, Texts, encode_texts
from scoring.model.encoding import MAX_VALUES, MAX_VALUES_OF_ALL, Encoding, TextLevels, find_equal_share

WORDS = st.sampled_from(["ads", "webinar", "紹介", "fair", ""])
ROWS = st.lists(
    st.tuples(st.one_of(st.none(), WORDS), st.floats(allow_infinity=False), WORDS), min_size=1, max_size=30
)
Row = tuple[str | None, float, str | None]


def columns(rows: list[Row]) -> dict[str, Column]:
    channel, employees, trade = zip(*rows, strict=True)
    return {
        "channel": encode_texts(list(channel)),
        "employees": np.array(employees),
        "trade": encode_texts(list(trade)),
    }


@given(ROWS, ROWS, st.integers(1, 4))
def test_a_row_alone_is_its_row_of_the_matrix(learnt: list[Row], rows: list[Row], minimum: int) -> None:
    encoding = Encoding.learn(columns(learnt), minimum)
    single_rows = np.vstack([encoding.row(row) for row in rows])
    np.testing.assert_array_equal(single_rows, encoding.matrix(columns(rows)))


@given(ROWS, ROWS)
def test_each_text_stands_in_at_most_one_place(learnt: list[Row], rows: list[Row]) -> None:
    encoding = Encoding.learn(columns(learnt), 2)
    by_feature = encoding.by_feature(np.nan_to_num(encoding.matrix(columns(rows))))
    assert np.isin(by_feature[:, [0, 2]], (0, 1)).all()


@given(ROWS)
def test_written_down_and_read_again_it_is_the_same(rows: list[Row]) -> None:
    encoding = Encoding.learn(columns(rows), 1)
    assert Encoding.from_dict(encoding.to_dict()) == encoding


def test_rare_values_share_a_place_new_ones_say_nothing_and_missing_has_its_own() -> None:
    channel = encode_texts(["ads"] * 5 + ["webinar"] * 3 + ["rare"] + [None])
    encoding = Encoding.learn({"channel": channel}, min_count=3)
    assert encoding.to_dict() == {
        "channel": {"values": ["ads", "webinar"], "rare": ["rare"], "form": TEXT_FORM}
    }
    rows = {v: encoding.row([v]).tolist() for v in ("ads", "webinar", "rare", "never seen", None)}
    assert rows["never seen"] == [[0, 0, 0, 0]]
    places = {tuple(rows[v][0]) for v in ("ads", "webinar", "rare", None)}
    assert len(places) == 4
    assert all(sum(place) == 1 for place in places)


def test_of_thousands_of_values_the_most_common_have_a_column() -> None:
    """Each value stands in 10 to 30 of 50,000 rows, as regions and postal codes do."""
    count, rows = 2_500, 50_000
    codes = np.concatenate([np.arange(rows - 10 * MAX_VALUES) % count, np.repeat(np.arange(MAX_VALUES), 10)])
    names = [f"region {i}" for i in range(count)]
    region = Texts(codes.astype(np.int32), tuple(names))
    encoding = Encoding.learn({"region": region, "size": codes.astype(np.float64)})
    level = encoding.levels["region"]
    assert level is not None
    assert {*level.values} == {*names[:MAX_VALUES]}
    assert {*level.rare} == {*names[MAX_VALUES:]}
    assert encoding.width == MAX_VALUES + 3
    matrix = encoding.matrix({"region": region, "size": codes.astype(np.float64)})
    assert (matrix[:, : MAX_VALUES + 2].sum(axis=1) == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_choose_among_equally_common_values(seed: int) -> None:
    names: list[str | None] = [
        f"region {i:03d}" for i in np.random.default_rng(seed).permutation(MAX_VALUES + 20)
    ]
    encoding = Encoding.learn({"region": encode_texts(names)}, min_count=1)
    in_order = Encoding.learn({"region": encode_texts(sorted(names, key=str))}, min_count=1)
    assert encoding == in_order


def test_many_texts_of_many_values_share_the_columns() -> None:
    many = encode_texts([f"region {i}" for i in range(MAX_VALUES)])
    columns: dict[str, Column] = {f"region {k}": many for k in range(20)}
    columns["channel"] = encode_texts(["ads", "fair"] * (MAX_VALUES // 2))
    encoding = Encoding.learn(columns, min_count=1)
    counts = {name: len(level.values) for name, level in encoding.levels.items() if level is not None}
    assert counts == dict.fromkeys(columns, (MAX_VALUES_OF_ALL - 2) // 20) | {"channel": 2}


@given(st.lists(st.integers(0, 300)), st.integers(0, 1_000))
def test_an_equal_share_is_the_largest_that_fits(counts: list[int], total: int) -> None:
    share = find_equal_share(counts, total)
    assert sum(min(count, share) for count in counts) <= total
    is_needed = any(count > share for count in counts)
    assert not is_needed or sum(min(count, share + 1) for count in counts) > total


def test_spellings_of_one_value_share_its_place() -> None:
    opted_in = encode_texts(["TRUE"] * 3 + ["true"] * 2 + ["FALSE"] * 4)
    encoding = Encoding.learn({"opted_in": opted_in}, min_count=1)
    assert encoding.levels["opted_in"] == TextLevels(("TRUE", "FALSE"))
    rows = {
        value: encoding.row([value]).tolist() for value in ("TRUE", "true", " True ", "1", "はい", "ＴＲＵＥ")
    }
    assert len({str(row) for row in rows.values()}) == 1
    matrix = encoding.matrix({"opted_in": encode_texts(list(rows))})
    assert matrix.tolist() == [row[0] for row in rows.values()]


def test_a_model_made_before_compares_letter_by_letter() -> None:
    encoding = Encoding.from_dict({"plan": {"values": ["A"], "rare": []}})
    assert encoding.row(["A"]).sum() == 1
    assert encoding.row(["a"]).sum() == 0


def test_a_missing_number_is_nan() -> None:
    encoding = Encoding.learn({"employees": np.array([1.0, 2.0])})
    assert math.isnan(encoding.row([None])[0, 0])


def test_too_few_values_for_the_table_are_refused() -> None:
    encoding = Encoding.learn({"a": np.zeros(1), "b": np.zeros(1)})
    with pytest.raises(ValueError, match="shorter"):
        encoding.row([1.0])
