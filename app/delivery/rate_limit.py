"""How fast an account may send: never more messages in any second than its rate, all workers of all machines together.

Companies that send by one shared account have each its own rate, and together the account's: while it is too little for
all of them each gets a fair part, of which what one leaves goes to the others.

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

from app.accounts.shared import SharedRate
from app.config import settings
from app.extensions import redis_client

# how long a message may take from its permit to its first byte: the time to connect, seconds
_VALID_S = 2.0
_KEEP_S = 3600
_REDIS_AWAY_S = 1.0

# KEYS: permits (sorted by when they count as used, µs), since when they are counted; of an allotment both of its shared
# account too, and who asked for permits of that (account -> when, µs, and its own rate). ARGV: rate, wanted, window µs,
# validity µs, name of the first permit's bunch, how long keys are kept, ms, the shared account's rate, who asks, then
# for each correction its permit and how long before now its message left, µs, or "" for a permit given back. Gives
# (granted, µs until another may be).
_RESERVE = """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local rate, wanted, window, valid = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
    local keep = ARGV[6]
    local levels = {{permits = KEYS[1], since = KEYS[2], rate = rate}}
    if #KEYS > 2 then
        levels[2] = {permits = KEYS[3], since = KEYS[4], rate = tonumber(ARGV[7])}
    end
    local early = 0
    for _, level in ipairs(levels) do
        for i = 9, #ARGV, 2 do
            if ARGV[i + 1] == '' then
                redis.call('ZREM', level.permits, ARGV[i])
            else
                redis.call('ZADD', level.permits, 'XX', string.format('%.0f', now - tonumber(ARGV[i + 1])), ARGV[i])
            end
        end
        redis.call('ZREMRANGEBYSCORE', level.permits, '-inf', string.format('%.0f', now - window))
        local since = redis.call('GET', level.since)
        if not since then
            since = now
            redis.call('SET', level.since, string.format('%.0f', now))
        end
        redis.call('PEXPIRE', level.since, keep)
        redis.call('PEXPIRE', level.permits, keep)
        early = math.max(early, tonumber(since) + window - now)
    end
    if wanted <= 0 then
        return {0, '1'}  -- corrections alone
    end
    if levels[2] then
        -- who asked of late shares the account's rate: nobody gets more than their own rate, what they leave goes to
        -- the others, and what can't be divided goes round, window by window
        redis.call('HSET', KEYS[5], ARGV[8], string.format('%.0f:%d', now, rate))
        redis.call('PEXPIRE', KEYS[5], keep)
        local asking, all = {}, redis.call('HGETALL', KEYS[5])
        for i = 1, #all, 2 do
            local at, own = string.match(all[i + 1], '(%d+):(%d+)')
            if now - tonumber(at) > 2 * window then
                redis.call('HDEL', KEYS[5], all[i])
            else
                asking[#asking + 1] = {name = all[i], rate = tonumber(own)}
            end
        end
        table.sort(asking, function(one, other)
            if one.rate ~= other.rate then return one.rate < other.rate end
            return one.name < other.name
        end)
        local left, first = levels[2].rate, 1
        while first <= #asking and asking[first].rate <= left / (#asking - first + 1) do
            left = left - asking[first].rate
            first = first + 1
        end
        local sharing, turn = #asking - first + 1, math.floor(now / window)
        for place = first, #asking do
            if asking[place].name == ARGV[8] then
                local share = math.floor(left / sharing)
                if (place - first + turn) % sharing < left % sharing then
                    share = share + 1
                end
                levels[1].rate = math.min(rate, share)
            end
        end
    end
    if early > 0 then
        return {0, string.format('%.0f', early)}
    end
    for _, level in ipairs(levels) do
        if level.rate < 1 then
            return {0, string.format('%.0f', math.max(window - now % window, 1))}  -- not in this window's turn
        end
        -- evenly, a quarter in a quarter of the window: a moment's delay on the way would heap up two bursts
        for _, part in ipairs({{level.rate, window}, {math.ceil(level.rate / 4), window / 4}}) do
            local most, within = part[1], part[2]
            local used = redis.call('ZCOUNT', level.permits, string.format('%.0f', now - within), '+inf')
            wanted = math.min(wanted, most - used)
            if wanted <= 0 then
                local first = redis.call('ZREVRANGE', level.permits, most - 1, most - 1, 'WITHSCORES')
                -- one that is not used yet may soon be told of
                local wait = first[2] + 0 > now and 20000 or first[2] + within - now
                return {0, string.format('%.0f', math.max(wait, 1))}
            end
        end
    end
    for _, level in ipairs(levels) do
        for i = 1, wanted do
            redis.call('ZADD', level.permits, string.format('%.0f', now + valid), ARGV[5] .. ':' .. i)
        end
        redis.call('PEXPIRE', level.permits, keep)
    end
    return {wanted, '0'}
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
    shared: SharedRate | None = None
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
        corrections: list[str | int] = [
            part for name, left in told for part in (name, "" if left is None else int((asked - left) * 1_000_000))
        ]
        # a rate is kept on arrival: what leaves within a second may arrive somewhat closer together
        window_us = 1_000_000 + settings().rate_jitter_ms * 1_000
        key = f"todoke:pace:{self.account_id}"
        keys = [key, f"{key}:since"]
        if self.shared is not None:
            together = f"todoke:pace:shared:{self.shared.account_id}"
            keys += [together, f"{together}:since", f"{together}:asking"]
        most = self.shared.rate if self.shared is not None else 0
        arguments: list[str | int] = [self.rate, wanted, window_us, int(_VALID_S * 1e6), bunch, _KEEP_S * 1000]
        arguments += [most, self.account_id, *corrections]
        try:
            granted, wait_us = redis_client.connection.eval(_RESERVE, len(keys), *keys, *arguments)
        except RedisError as error:
            # the correction may not have come: those permits then count for longer than they were used
            _log.warning("rate limit unavailable", error=type(error).__name__)
            self._wait_until = asked + _REDIS_AWAY_S
            return False
        self._wait_until = asked + int(wait_us) / 1e6
        self._free += [Permit(f"{bunch}:{number}", asked + _VALID_S) for number in range(1, granted + 1)]
        return bool(granted)


def may_leave(account_id: int, rate: int | None, patience_s: float, *, shared: SharedRate | None = None) -> bool:
    """Wait a while for leave to send a single message: it counts toward the account's rate as others do."""
    if rate is None:
        return True
    pace = Pace(account_id, rate, shared)
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
