from __future__ import annotations

import pytest

from features.derived.titles import find_department, find_rank
from features.derived.words import list_levels, read_words


@pytest.mark.parametrize(
    ("title", "rank", "department"),
    [
        ("代表取締役社長", "executive", "management"),
        ("営業本部 部長", "director", "sales"),
        ("マーケティング本部長", "vice_president", "marketing"),
        ("情報システム部　課長", "manager", "it"),
        ("総務部 主任", "leader", "administration"),
        ("副部長", "manager", "other"),
        ("社長秘書", "staff", "management"),
        ("学生", "student", "other"),
        ("VP of Sales", "vice_president", "sales"),
        ("Vice-President, Marketing", "vice_president", "marketing"),
        ("CEO & Co-Founder", "executive", "management"),
        ("Executive Assistant to the CEO", "staff", "management"),
        ("Account Executive", "staff", "sales"),
        ("Managing Director", "executive", "management"),
        ("Head of People", "director", "hr"),
        ("Senior Manager", "manager", "other"),
        ("ＩＴ Ｍａｎａｇｅｒ", "manager", "it"),
        ("Directory of Vips", "other", "other"),
    ],
)
def test_titles(title: str, rank: str, department: str) -> None:
    assert (find_rank(title), find_department(title)) == (rank, department)


@pytest.mark.parametrize(("kind", "find"), [("job_rank", find_rank), ("department", find_department)])
def test_each_level_is_itself_and_has_words_in_both_languages(kind: str, find: object) -> None:
    levels = {group["level"] for group in read_words()[kind]} | {"other"}
    assert levels == set(list_levels(kind))
    for level in levels:
        assert find(level) == level  # type: ignore[operator]
        assert all(read_words()["labels"][kind][level][lang] for lang in ("en", "ja"))
