from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.derived.mail import find_mail_kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("taro@gmail.com", "free"),
        ("Taro Yamada <taro@sales.acme.co.jp>", "company"),
        ("ｔａｒｏ＠ｙａｈｏｏ．ｃｏ．ｊｐ", "free"),
        ("x@docomo.ne.jp", "free"),
        ("x@hotmail.fr", "free"),
        ("x@u-tokyo.ac.jp", "education"),
        ("x@cs.mit.edu", "education"),
        ("x@city.osaka.lg.jp", "government"),
        ("x@nasa.gov", "government"),
        ("private@gmail.com, work@acme.com", "company"),
        ("https://www.acme.com/", "company"),
        ("x@livegroup.com", "company"),
        ("x@medu.com", "company"),
        ("no address", None),
        ("", None),
    ],
)
def test_the_kind_of_a_domain(text: str, kind: str | None) -> None:
    assert find_mail_kind(text) == kind


@given(st.text(max_size=40) | st.emails())
def test_a_kind_is_unchanged_and_holds_nothing_of_the_address(text: str) -> None:
    kind = find_mail_kind(text)
    assert kind in (None, "company", "free", "education", "government")
    assert kind is None or find_mail_kind(kind) == kind
