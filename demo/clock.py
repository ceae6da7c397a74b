"""Times of the demo: whole seconds of naive local time in Japan, counted from 1970-01-01 00:00."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

HOUR = 3_600
DAY = 86_400
START = int(datetime(2024, 10, 1, tzinfo=UTC).timestamp())
AS_OF = int(datetime(2026, 10, 1, tzinfo=UTC).timestamp())
NEVER = 2**40  # far beyond the snapshot, and still safe to add to
JAPAN_AHEAD = timedelta(hours=9)
OPENS = 9 * HOUR
CLOSES = 18 * HOUR


def snapshot_moment() -> datetime:
    """The moment of the snapshot, in UTC: 2026-10-01 00:00 in Japan."""
    return datetime.fromtimestamp(AS_OF, UTC) - JAPAN_AHEAD


def day_start(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


def draw_daytime(rng: np.random.Generator, count: int) -> IntArray:
    """Seconds of the day at which people use the web: mostly in the early afternoon, rarely at night."""
    hours = 13.5 + 3.3 * rng.standard_normal(count)
    return (hours * HOUR).astype(np.int64) % DAY


def draw_working_time(rng: np.random.Generator, count: int) -> IntArray:
    return rng.integers(OPENS, CLOSES, count)


def on_day(start: IntArray, days: IntArray, second_of_day: IntArray) -> IntArray:
    """The instant in (start + days, start + days + 1] that has this time of day.

    An event that belongs to a whole day of a lead's age gets a plausible hour and keeps its day.
    """
    after = start + days * DAY + 1
    return np.asarray(after + (second_of_day - after) % DAY)


def weekday(time: IntArray) -> IntArray:
    """0 for Monday to 6 for Sunday; 1970-01-01 was a Thursday."""
    return np.asarray((time // DAY + 3) % 7)


def move_before_weekend(time: IntArray) -> IntArray:
    """The same time of day on Friday for a Saturday or Sunday; other times unchanged."""
    return np.asarray(time - np.maximum(weekday(time) - 4, 0) * DAY)


def next_office_time(time: IntArray, delay_in_office: IntArray) -> IntArray:
    """The time itself within office hours, otherwise the next opening plus a delay in seconds."""
    of_day = time % DAY
    time = np.where(of_day >= CLOSES, time - of_day + DAY, time)
    late = (of_day < OPENS) | (of_day >= CLOSES) | (weekday(time) > 4)
    time = time + np.where(weekday(time) > 4, 7 - weekday(time), 0) * DAY
    return np.where(late, time - time % DAY + OPENS + delay_in_office, time)


def month_index(time: IntArray) -> IntArray:
    """Months since January 1970."""
    return time.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)


def month_later(month: str, days: int) -> str:
    """The month (as 2026-09) that contains the middle of `month`, moved by `days`."""
    return str(np.datetime64(f"{month}-15") + np.timedelta64(days, "D"))[:7]
