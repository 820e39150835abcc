"""What a server allows: token buckets for requests and tokens, filled as its headers say.

Servers that follow OpenAI say with each answer what is allowed (`x-ratelimit-limit-requests`), what
is left of it (`-remaining-`) and how long until all of it is back (`-reset-`), for requests and
tokens; where nothing is left they answer 429 with `retry-after`.
"""

import math
import re
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_EPOCH = 1e9  # what says more seconds is a time, counted from 1970
LONGEST_WAIT = 900.0  # seconds: whoever is to wait longer comes back by himself


class Bucket:
    """What is left of an allowance that flows back evenly."""

    def __init__(self) -> None:
        self.limit = self.level = float("inf")
        self.rate, self._at = 0.0, time.monotonic()

    def seconds_until(self, amount: float) -> float:
        """Until so much is there; what is more than the whole waits for the whole."""
        self._flow()
        lacking = min(amount, self.limit) - self.level
        # Where it is not known how fast it flows back, or it takes too long, the server itself will
        # say no, and for how long.
        wait = lacking / self.rate if lacking > 0 and self.rate else 0.0
        return wait if wait <= LONGEST_WAIT else 0.0

    def take(self, amount: float) -> None:
        self._flow()
        self.level -= amount

    def heed(self, limit: float, left: float, reset: float | None, on_the_way: float) -> None:
        """What the server said; `on_the_way` are requests that it may not have counted yet."""
        self._flow()
        self.limit = limit
        if reset and limit > left:
            self.rate = (limit - left) / reset
        self.level = left - on_the_way

    def _flow(self) -> None:
        now = time.monotonic()
        self.level = min(self.limit, self.level + self.rate * (now - self._at))
        self._at = now


class RateLimits:
    """Both buckets and the pauses of a server; threads share it."""

    def __init__(self) -> None:
        self._buckets = {"requests": Bucket(), "tokens": Bucket()}
        self._on_the_way = {"requests": 0.0, "tokens": 0.0}
        self._paused_until, self._lock = 0.0, threading.Lock()

    def acquire(self, tokens: float, stop: threading.Event) -> bool:
        """Wait until a request of so many tokens may go; False where all is to stop."""
        amounts = {"requests": 1.0, "tokens": tokens}
        while not stop.is_set():
            with self._lock:
                waits = [
                    self._buckets[name].seconds_until(amount) for name, amount in amounts.items()
                ]
                wait = max(self._paused_until - time.monotonic(), *waits)
                if wait <= 0:
                    for name, amount in amounts.items():
                        self._buckets[name].take(amount)
                        self._on_the_way[name] += amount
                    return True
            stop.wait(min(wait, 1.0))
        return False

    def release(self, tokens: float, headers: Mapping[str, str] | None) -> None:
        """A request has ended; `headers` of its answer, where there was one."""
        with self._lock:
            self._on_the_way["requests"] -= 1
            self._on_the_way["tokens"] -= tokens
            for name, bucket in self._buckets.items():
                said = {
                    part: (headers or {}).get(f"x-ratelimit-{part}-{name}", "")
                    for part in ("limit", "remaining", "reset")
                }
                limit, left = _number(said["limit"]), _number(said["remaining"])
                if limit and left is not None:
                    left, reset = min(left, limit), _until(said["reset"], headers or {})
                    bucket.heed(limit, left, reset, self._on_the_way[name])

    def pause(self, seconds: float) -> None:
        """Nothing is sent for so long."""
        with self._lock:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)


def duration(text: str) -> float | None:
    """Seconds of `6m0s`, `1.5s`, `120ms`, or `20`; None for anything else."""
    text = text.strip()
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return sum(float(part[1]) * _UNIT[part[2] or "s"] for part in parts)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: a number, or a date (RFC 9110, section 10.2.3)."""
    if (millis := _number(headers.get("retry-after-ms", ""))) is not None:
        return millis / 1000
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if (seconds := duration(text)) is not None:
        return seconds
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, _time(when) - _now(headers))


def _until(text: str, headers: Mapping[str, str]) -> float | None:
    """Seconds until all is back: a duration, or a time in seconds or milliseconds since 1970."""
    seconds = duration(text)
    if seconds is None or seconds < _EPOCH:
        return seconds
    return max(0.0, (seconds / 1000 if seconds > 100 * _EPOCH else seconds) - _now(headers))


def _now(headers: Mapping[str, str]) -> float:
    """What the server's clock says, in seconds since 1970: ours may be wrong."""
    try:
        return _time(parsedate_to_datetime(headers["date"]))
    except (KeyError, ValueError):
        return time.time()


def _time(when: datetime) -> float:
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float | None:
    """A finite number from 0; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
