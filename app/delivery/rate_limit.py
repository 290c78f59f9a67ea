"""How fast an account may send: never more messages in any second than its rate, all workers of all machines together.

The count stands in Redis, by Redis's own clock. A worker reserves permits in small bunches just before it needs them; a
permit counts as used at the end of its validity until the worker tells when its message really left, and is given back
when it didn't. So a worker that dies, or a connection that takes long, can make sending slower but never faster.
Messages that may leave within a second are spread over it. Without Redis nothing is sent; and an account whose count is
missing (new, or Redis was emptied) waits one window first.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from secrets import token_hex

import structlog
from redis.exceptions import RedisError

from app.config import settings
from app.extensions import redis_client

# how long a message may take from its permit to its first byte: the time to connect, seconds
_VALID_S = 2.0
_KEEP_S = 3600
_REDIS_AWAY_S = 1.0

# KEYS: permits (sorted by when they count as used, µs), since when they are counted. ARGV: rate, wanted, window µs,
# validity µs, name of the first permit's bunch, number of corrections, then for each correction its permit and how
# long before now its message left, µs, or "" for a permit given back. Gives (granted, µs until another may be).
_RESERVE = """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local rate, wanted, window, valid = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
    for i = 1, tonumber(ARGV[6]) do
        local permit, ago = ARGV[5 + 2 * i], ARGV[6 + 2 * i]
        if ago == '' then
            redis.call('ZREM', KEYS[1], permit)
        else
            redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', now - tonumber(ago)), permit)
        end
    end
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
    local since = redis.call('GET', KEYS[2])
    if not since then
        since = now
        redis.call('SET', KEYS[2], string.format('%.0f', now))
    end
    redis.call('PEXPIRE', KEYS[2], ARGV[7 + 2 * tonumber(ARGV[6])])
    redis.call('PEXPIRE', KEYS[1], ARGV[7 + 2 * tonumber(ARGV[6])])
    if wanted <= 0 then
        return {0, '1'}  -- corrections alone
    end
    local early = tonumber(since) + window - now
    if early > 0 then
        return {0, string.format('%.0f', early)}
    end
    -- evenly, a quarter in a quarter of the window: a moment's delay on the way would heap up two bursts
    for _, part in ipairs({{rate, window}, {math.ceil(rate / 4), window / 4}}) do
        local most, within = part[1], part[2]
        local used = redis.call('ZCOUNT', KEYS[1], string.format('%.0f', now - within), '+inf')
        wanted = math.min(wanted, most - used)
        if wanted <= 0 then
            local first = redis.call('ZREVRANGE', KEYS[1], most - 1, most - 1, 'WITHSCORES')
            -- one that is not used yet may soon be told of
            local wait = first[2] + 0 > now and 20000 or first[2] + within - now
            return {0, string.format('%.0f', math.max(wait, 1))}
        end
    end
    local granted = wanted
    for i = 1, granted do
        redis.call('ZADD', KEYS[1], string.format('%.0f', now + valid), ARGV[5] .. ':' .. i)
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[7 + 2 * tonumber(ARGV[6])])
    return {granted, '0'}
"""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave for one message to leave before `until` (`time.monotonic()`)."""

    name: str
    until: float


@dataclass(slots=True)
class Pace:
    """One turn's share of an account's rate, messages a second. Used by one thread."""

    account_id: int
    rate: int
    _free: deque[Permit] = field(default_factory=deque)
    _used: list[tuple[str, float | None]] = field(default_factory=list)  # since the last time Redis was asked
    _wait_until: float = 0.0
    _prefix: str = field(default_factory=lambda: token_hex(6))
    _bunch: "count[int]" = field(default_factory=count)

    def take(self) -> Permit | None:
        """Return a permit, or None when none is to be had at the moment."""
        now = time.monotonic()
        while self._free:
            permit = self._free.popleft()
            if now < permit.until - _VALID_S / 2:
                return permit
            self._used.append((permit.name, None))
        if now < self._wait_until or not self._reserve(max(1, min(20, self.rate // 20))):
            return None
        return self._free.popleft()

    def leaves(self, permit: Permit) -> bool:
        """Return, at the last moment, whether the permit's message may leave; the permit is used up either way."""
        now = time.monotonic()
        fits = now < permit.until
        self._used.append((permit.name, now if fits else None))
        return fits

    def give_back(self, permit: Permit) -> None:
        """Hand back the permit of a message that won't leave."""
        self._used.append((permit.name, None))

    def close(self) -> None:
        """Hand back what wasn't used."""
        self._used += [(permit.name, None) for permit in self._free]
        self._free.clear()
        if self._used:
            self._reserve(0)

    def _reserve(self, wanted: int) -> bool:
        asked = time.monotonic()
        bunch = f"{self._prefix}:{next(self._bunch)}"
        told, self._used = self._used, []
        corrections = [
            part for name, left in told for part in (name, "" if left is None else int((asked - left) * 1_000_000))
        ]
        # a rate is kept on arrival: what leaves within a second may arrive somewhat closer together
        window_us = 1_000_000 + settings().rate_jitter_ms * 1_000
        arguments = [self.rate, wanted, window_us, int(_VALID_S * 1e6), bunch, len(told), *corrections]
        key = f"todoke:pace:{self.account_id}"
        try:
            granted, wait_us = redis_client.connection.eval(
                _RESERVE, 2, key, f"{key}:since", *arguments, _KEEP_S * 1000
            )
        except RedisError as error:
            # the correction may not have come: those permits then count for longer than they were used
            _log.warning("rate limit unavailable", error=type(error).__name__)
            self._wait_until = asked + _REDIS_AWAY_S
            return False
        self._wait_until = asked + int(wait_us) / 1e6
        self._free += [Permit(f"{bunch}:{number}", asked + _VALID_S) for number in range(1, granted + 1)]
        return bool(granted)


def may_leave(account_id: int, rate: int | None, patience_s: float) -> bool:
    """Wait a while for leave to send a single message: it counts toward the account's rate as others do."""
    if rate is None:
        return True
    pace = Pace(account_id, rate)
    ends = time.monotonic() + patience_s
    try:
        while time.monotonic() < ends:
            permit = pace.take()
            if permit is not None and pace.leaves(permit):
                return True
            time.sleep(0.05)
        return False
    finally:
        pace.close()
