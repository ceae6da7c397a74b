"""Time: whole milliseconds since 1970 in UTC, exact, before 1970 too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import from_ms, iso, to_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
    timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
)


@given(MOMENTS)
def test_milliseconds_are_exact_and_rounded_down(moment: datetime) -> None:
    ms = to_ms(moment)
    assert EPOCH + timedelta(milliseconds=ms) <= moment < EPOCH + timedelta(milliseconds=ms + 1)


@given(st.integers(-60_000_000_000_000, 250_000_000_000_000))
def test_a_moment_and_its_text_say_the_same(ms: int) -> None:
    assert to_ms(from_ms(ms)) == ms
    text = iso(ms)
    assert text.endswith("Z")
    assert to_ms(datetime.fromisoformat(text)) == ms // 1000 * 1000


def test_a_time_without_a_zone_is_no_moment() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        to_ms(datetime(2026, 1, 1))
