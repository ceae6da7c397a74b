"""Words that stand for a missing value among numbers and dates."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_WORDS = (
    *(
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "null",
        "nan",
        "none",
        "nil",
        r"\n",
        "-",
        "--",
        "---",
        "–",
        "—",
        "?",
        "??",
        ".",
    ),
    *("unknown", "not known", "not available", "not applicable", "missing", "empty", "blank", "tbd"),
    *("不明", "未入力", "未設定", "未登録", "未回答", "未定", "該当なし", "空白", "ー", "－", "―", "？"),
)
"""In lower case."""


def select_missing_words(values: pa.Array) -> frozenset[str]:
    """Those of some different texts that are such words, as they are spelt."""
    is_word = pc.is_in(pc.utf8_lower(values), value_set=pa.array(_WORDS, values.type))
    return frozenset(values.filter(is_word).to_pylist())
