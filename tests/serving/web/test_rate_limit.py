"""How often a key may ask."""

import pytest

from serving.web import authentication as limits
from serving.web.authentication import RateLimiter
from tests.helpers.clock import Clock


def test_a_burst_then_one_at_a_time() -> None:
    clock = Clock(100.0)
    bucket = RateLimiter(8, clock)
    assert [bucket.retry_after("a") for _ in range(8)] == [0.0] * 8
    assert bucket.retry_after("a") == 0.125
    clock.now += 0.125
    assert bucket.retry_after("a") == 0
    assert bucket.retry_after("a") > 0


def test_asking_in_vain_costs_nothing() -> None:
    clock = Clock(100.0)
    bucket = RateLimiter(1, clock)
    assert bucket.retry_after("a") == 0
    assert [bucket.retry_after("a") for _ in range(50)] == [1.0] * 50
    clock.now += 1
    assert bucket.retry_after("a") == 0


def test_a_long_rest_gives_no_more_than_one_burst() -> None:
    clock = Clock(100.0)
    bucket = RateLimiter(2, clock)
    bucket.retry_after("a")
    clock.now += 1_000_000
    assert [bucket.retry_after("a") > 0 for _ in range(3)] == [False, False, True]


def test_keys_do_not_disturb_each_other() -> None:
    bucket = RateLimiter(1, Clock(100.0))
    assert (bucket.retry_after("a"), bucket.retry_after("b")) == (0, 0)
    assert bucket.retry_after("a") > 0


def test_less_than_one_a_second_lets_the_first_in() -> None:
    clock = Clock(100.0)
    bucket = RateLimiter(0.5, clock)
    assert bucket.retry_after("a") == 0
    assert bucket.retry_after("a") == pytest.approx(2)


def test_zero_is_no_limit() -> None:
    bucket = RateLimiter(0, Clock(100.0))
    assert not any(bucket.retry_after("a") for _ in range(10_000))
    assert len(bucket) == 0


def test_memory_is_bounded_and_the_least_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_KEYS", 3)
    bucket = RateLimiter(1, Clock(100.0))
    for key in ("a", "b", "c", "a", "d", "e"):
        bucket.retry_after(key)
    assert len(bucket) == 3
    assert bucket.retry_after("a") > 0  # still remembered: it was asked for lately
    assert bucket.retry_after("b") == 0  # forgotten
