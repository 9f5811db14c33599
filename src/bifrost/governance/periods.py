"""When a limit starts anew: durations, and the calendar's days, weeks, months and years. Pure; times are Unix seconds, UTC."""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime, timedelta

import attrs

__all__ = ["Calendar", "Period"]

DAY_S = 86400.0

_UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "\N{MICRO SIGN}s": 1e-6,
    "\N{GREEK SMALL LETTER MU}s": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_LONG_UNITS_S = {"d": DAY_S, "w": 7 * DAY_S, "M": 30 * DAY_S, "Y": 365 * DAY_S}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|[\u00b5\u03bc]s|ms|s|m|h)")
_LONG = re.compile(r"([0-9]+(?:\.[0-9]*)?)([dwMY])")

MAX_S = 1000 * 365 * DAY_S
"""Nobody lives to see a longer one end, and clocks cannot tell its end."""


class Calendar(enum.Enum):
    """What a calendar-aligned period begins with."""

    DAY = "d"
    WEEK = "w"
    MONTH = "M"
    YEAR = "Y"

    def start(self, now_unix_s: float) -> float:
        """The last midnight, UTC, that began such a span; a week begins on Monday."""
        now = datetime.fromtimestamp(now_unix_s, UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        match self:
            case Calendar.DAY:
                return midnight.timestamp()
            case Calendar.WEEK:
                return (midnight - timedelta(days=midnight.weekday())).timestamp()
            case Calendar.MONTH:
                return midnight.replace(day=1).timestamp()
            case Calendar.YEAR:
                return midnight.replace(month=1, day=1).timestamp()

    def end(self, now_unix_s: float) -> float:
        """The midnight at which the span that ``now`` lies in is over."""
        # Longer than any span and shorter than two of it, seen from its start.
        past = {"d": 1.5, "w": 8, "M": 32, "Y": 367}[self.value]
        return self.start(self.start(now_unix_s) + past * DAY_S)


@attrs.frozen
class Period:
    """How long a limit counts before it starts anew. ``text`` is as it was written: ``1h30m``, ``1d``, ``1M``.

    A rolling one lasts ``length_s`` from its last reset. One with a ``calendar`` ends with the calendar's span instead; the
    number before the unit means nothing then.
    """

    text: str
    length_s: float
    calendar: Calendar | None = None

    @classmethod
    def parse(cls, text: str, *, calendar_aligned: bool = False) -> Period:
        """``text`` read: a Go duration, or a number of ``d``, ``w`` (7 days), ``M`` (30 days), ``Y`` (365 days).

        Raises ValueError if it is neither, not above 0, or aligned with a unit that no calendar has.
        """
        length_s = _length_s(text)
        if length_s is None:
            raise ValueError(f"Invalid reset duration format: {text}")
        if not calendar_aligned:
            return cls(text, length_s)
        if text[-1] not in _LONG_UNITS_S:
            raise ValueError(
                f'calendar_aligned is not supported for reset duration "{text}": '
                "only daily (d), weekly (w), monthly (M), and yearly (Y) durations are"
            )
        return cls(text, length_s, Calendar(text[-1]))

    def start(self, now_unix_s: float) -> float:
        """What the last reset is of a limit that begins to count now."""
        return now_unix_s if self.calendar is None else self.calendar.start(now_unix_s)

    def is_over(self, since_unix_s: float, now_unix_s: float) -> bool:
        """Whether a limit whose last reset was at ``since_unix_s`` has to start anew. The one rule, for all who ask."""
        if self.calendar is not None:
            return self.calendar.start(now_unix_s) > since_unix_s
        return now_unix_s - since_unix_s >= self.length_s

    def end(self, since_unix_s: float) -> float:
        """When a limit whose last reset was at ``since_unix_s`` has to start anew."""
        if self.calendar is not None:
            return self.calendar.end(since_unix_s)
        return since_unix_s + self.length_s

    def left_s(self, since_unix_s: float, now_unix_s: float) -> float:
        """Seconds until it starts anew; 0.0 if it has to now."""
        if self.is_over(since_unix_s, now_unix_s):
            return 0.0
        if self.calendar is not None:
            return self.calendar.end(now_unix_s) - now_unix_s
        return since_unix_s + self.length_s - now_unix_s


def _length_s(text: str) -> float | None:
    """Seconds; ``None`` if it is no duration, or none above 0."""
    if not 0 < len(text) <= 64:
        return None
    long = _LONG.fullmatch(text)
    if long is not None:
        length_s = float(long[1]) * _LONG_UNITS_S[long[2]]
    else:
        parts = list(_PART.finditer(text))
        if "".join(part[0] for part in parts) != text:
            return None
        length_s = sum(float(part[1]) * _UNITS_S[part[2]] for part in parts)
    return min(length_s, MAX_S) if length_s > 0 else None
