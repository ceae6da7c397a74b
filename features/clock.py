"""Times: whole milliseconds since 1970-01-01 UTC (int64)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MS_PER_DAY = 86_400_000
NEVER = 2**62
"""A time after every other one, for example the close of an open lead."""

CLOCKS_DIFFER_MS = 300_000
"""The clocks of two machines may differ by so much before a time counts as one in the future."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def days_to_ms(days: float) -> int:
    """Days (fractions allowed) as whole milliseconds."""
    return round(days * MS_PER_DAY)


def to_ms(moment: datetime) -> int:
    """Milliseconds of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def from_ms(ms: int) -> datetime:
    """The aware UTC datetime of `ms`."""
    return _EPOCH + timedelta(milliseconds=int(ms))


def iso(ms: int) -> str:
    """`ms` as ISO 8601 in UTC, to the second: 2026-10-01T00:00:00Z."""
    return f"{from_ms(ms).isoformat()[:19]}Z"


def iso_exact(ms: int) -> str:
    """`ms` as ISO 8601 in UTC, to the millisecond."""
    return f"{from_ms(ms).isoformat(timespec='milliseconds')[:23]}Z"


def local_hours(ms: int, zone: str) -> int:
    """The whole hours since 1970-01-01 00:00 of the clock in a zone, such as Asia/Tokyo, at `ms`."""
    local = from_ms(ms).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    since = local - _EPOCH.replace(tzinfo=None)
    return since.days * 24 + since.seconds // 3600


def now_ms() -> int:
    """The current time in ms UTC."""
    return to_ms(datetime.now(tz=UTC))
