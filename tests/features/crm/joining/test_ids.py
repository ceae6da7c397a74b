import pyarrow as pa
import pytest

from features.crm.joining.ids import match_ids, plain_id, plain_ids


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("00Q5g000000ABcdEAA", "00Q5g000000ABcd"),
        ("00Q5g000000ABcd", "00Q5g000000ABcd"),
        ("123.0", "123"),
        ("123.00", "123"),
        ("0.0", "0"),
        ("007", "007"),
        ("007.0", "007.0"),
        ("1.5", "1.5"),
        ("{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        ("zcrm_4000001", "4000001"),
        ("deal_4000001", "deal_4000001"),
    ],
)
def test_the_plain_form_of_an_id(text: str, plain: str) -> None:
    assert plain_id(text) == plain


@pytest.mark.parametrize(
    ("ids", "values", "position", "other_forms"),
    [
        (["00Q5g000000ABcd", "00Q5g000000ABcdEAA"], ["00Q5g000000ABcdEAA"], [0, 0], 1),
        (["00Q5g000000ABcdEAA"], ["00Q5g000000ABcd", "x"], [0], 1),
        (["00Q5g000000abcd"], ["00Q5g000000ABcdEAA"], [-1], 0),  # the case tells records apart
        (["12.0", "13", None], ["12", "13"], [0, 1, -1], 1),
        (["7", "007"], ["007"], [-1, 0], 0),  # leading zeros belong to the id
        (["5.0"], ["5.00", "5.000"], [-1], 0),  # two records share the plain form
        (["a", "b"], ["b"], [-1, 0], 0),
    ],
)
def test_ids_match_in_their_plain_form(
    ids: list[str | None], values: list[str], position: list[int], other_forms: int
) -> None:
    matched, count = match_ids(pa.chunked_array([pa.array(ids, pa.string())]), pa.array(values))
    assert (matched.tolist(), count) == (position, other_forms)


@pytest.mark.parametrize("ids", [["a1", "b2"], ["123.0", "a1", "123.0"], []])
def test_the_plain_forms_of_a_column_are_those_of_its_ids(ids: list[str]) -> None:
    assert plain_ids(pa.chunked_array([pa.array(ids, pa.string())])) == {plain_id(text) for text in ids}
