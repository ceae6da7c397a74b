"""Heavy figures: worked out once, old ones told meanwhile, failures not kept."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serving.review.web.cache import MAX_ENTRIES, StaleWhileRevalidateCache


def test_a_figure_is_worked_out_once_for_all_who_ask() -> None:
    calls = []

    async def ask() -> list[tuple[int, int]]:
        cache = StaleWhileRevalidateCache(lambda: 7)
        work = lambda: calls.append(1) or len(calls)  # noqa: E731
        return list(await asyncio.gather(*(cache.get("a", 60, work) for _ in range(5))))

    assert asyncio.run(ask()) == [(1, 7)] * 5


def test_the_old_figure_is_told_while_a_new_one_is_worked_out() -> None:
    go_on = threading.Event()

    async def ask() -> tuple[int, int]:
        cache = StaleWhileRevalidateCache(lambda: 0)
        await cache.get("a", 0, lambda: 1)

        def slow() -> int:
            go_on.wait(10)
            return 2

        meanwhile, _ = await cache.get("a", 60, slow)
        go_on.set()
        while (after := (await cache.get("a", 60, slow))[0]) == 1:
            await asyncio.sleep(0.01)
        return meanwhile, after

    assert asyncio.run(ask()) == (1, 2)


def test_what_is_long_past_is_told_to_nobody() -> None:
    async def ask() -> int:
        cache = StaleWhileRevalidateCache(lambda: 0)
        await cache.get("a", 0.01, lambda: 1)
        await asyncio.sleep(0.05)
        return (await cache.get("a", 0.01, lambda: 2))[0]

    assert asyncio.run(ask()) == 2


def test_a_failure_is_told_and_tried_again() -> None:
    async def ask() -> int:
        cache = StaleWhileRevalidateCache(lambda: 0)

        def broken() -> int:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await cache.get("a", 60, broken)
        return (await cache.get("a", 60, lambda: 3))[0]

    assert asyncio.run(ask()) == 3


def test_not_more_than_some_figures_are_kept() -> None:
    async def ask() -> int:
        cache = StaleWhileRevalidateCache(lambda: 0)
        for i in range(MAX_ENTRIES + 50):
            await cache.get(i, 60, lambda: 1)
        return len(cache._entries)

    assert asyncio.run(ask()) == MAX_ENTRIES
