"""Large bodies have threads of their own, and more than may wait are refused."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serving.api.body_pool import MAX_INLINE_BYTES, BodyPool
from serving.web.problems import Problem

LARGE = MAX_INLINE_BYTES + 1


def thread_name() -> str:
    return threading.current_thread().name


def test_small_bodies_are_parsed_at_once_and_large_ones_in_threads_of_their_own() -> None:
    pool = BodyPool()
    assert asyncio.run(pool.parse(thread_name, MAX_INLINE_BYTES)) == thread_name()
    assert asyncio.run(pool.parse(thread_name, LARGE)).startswith("bodies")


def test_more_than_may_wait_is_refused_with_503() -> None:
    async def scenario() -> None:
        pool, release = BodyPool(max_bytes=2 * LARGE), threading.Event()
        waiting = [asyncio.create_task(pool.parse(release.wait, LARGE)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await pool.parse(release.wait, LARGE)
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "5")
        assert await pool.parse(thread_name, 10)  # small ones go on
        release.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await pool.parse(release.wait, 9 * LARGE)  # one alone may be larger

    asyncio.run(scenario())


def test_errors_and_cancelled_requests_give_their_place_back() -> None:
    async def scenario() -> None:
        pool = BodyPool(max_bytes=LARGE)
        with pytest.raises(ZeroDivisionError):
            await pool.parse(lambda: 1 / 0, LARGE)
        release = threading.Event()
        task = asyncio.create_task(pool.parse(release.wait, LARGE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        assert await pool.parse(release.wait, LARGE)

    asyncio.run(scenario())
