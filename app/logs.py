"""Logs: one JSON object a line, with nothing in it that belongs to a person.

In: what the code says, and what libraries say through `logging`. Out: lines on standard error. Can't happen here: a
token, an answer, a phone number or a credential that reaches a line, whether named by its key or found in a text or a
traceback; a log that grows with every request that somebody has refused.
"""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

REDACTED = "[redacted]"

# values under these keys (whole word of a key) are never written
_SECRET_KEYS = re.compile(
    r"(?:^|_)(?:password|passwd|token|secret|credential|credentials|authorization|cookie|set_cookie|api_key|answer|answers|phone|"
    r"phone_number|tel|to|body|fields|sms_text|message_text|session|csrf|signature|dsn|url_sealed|webhook_secret)(?:$|_)",
    re.IGNORECASE,
)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # phone numbers as people and providers write them, full-width too
    (
        re.compile(r"(?<![\d.:])(?:\+?81|0|０)[-‐\s()]{0,2}[6-9６-９][0０](?:[-‐.\s()]{0,2}[\d０-９]){8}(?![\d])"),
        REDACTED,
    ),
    # the last segment of a link in an SMS or its path
    (re.compile(r"(?<=/)(?=[1-9A-HJ-NP-Za-km-z]*[0-9A-Z])[1-9A-HJ-NP-Za-km-z]{12,32}(?![A-Za-z0-9._-])"), REDACTED),
    # the secret in the address of an account's receipts
    (re.compile(r"(?<=/)[0-9a-f]{32}(?![0-9a-z])"), REDACTED),
    # credentials by their form
    (re.compile(r"\b(?:sk|rk|pk|whsec)_(?:live|test)?_?[A-Za-z0-9]{6,}"), REDACTED),
    (re.compile(r"\btdk_(?:live|test)_[A-Za-z0-9_]{6,}"), REDACTED),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 " + REDACTED),
    # a scheme that is a common word too: what follows is long, and has figures
    (re.compile(r"(?i)\b(app)\s+(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{16,}"), r"\1 " + REDACTED),
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"), REDACTED),
    # one in a form or a query, as some services take it
    (re.compile(r"(?i)(?<![A-Za-z0-9])(token|clientsecret|password)=[^&\s\"']+"), r"\1=" + REDACTED),
)

# Lines that a stranger can cause as often as they send: each once a minute, then how often it came. The names are those
# of the facts that make it another kind.
_OFTEN: Mapping[str, tuple[str, ...]] = {
    "request refused": ("status",),
    "webhook refused": ("account_id", "reason"),
    "receipt refused": ("sms_account_id", "reason"),
    "shared receipt refused": ("shared_account_id", "reason"),
    "count cache unavailable": (),
    "refused receipt not recorded": (),
    "job not enqueued": ("job",),
    "database answer timed out": ("error",),
}
# the same of libraries, by the name of their logger
_OFTEN_BY = {"flask-limiter", "flask_wtf.csrf"}
_MINUTE_S = 60.0


class _Seldom(logging.Filter):
    """Lets the first line of a frequent kind pass, and tells once a window how many more there were."""

    def __init__(self, window_s: float) -> None:
        super().__init__()
        self._window_s = window_s
        self._lock = threading.Lock()
        self._until: dict[tuple[object, ...], float] = {}
        self._more: dict[tuple[object, ...], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is written."""
        said = record.msg if isinstance(record.msg, dict) else {"event": str(record.msg), "logger": record.name}
        if "more" in said:
            return True
        names = _OFTEN.get(str(said.get("event")), ("logger",) if record.name in _OFTEN_BY else None)
        if names is None:
            return True
        facts = {name: said.get(name) for name in names}
        kind = (record.levelno, said["event"], *facts.values())
        now = time.monotonic()
        with self._lock:
            if kind not in self._more and self._until.get(kind, 0.0) <= now:
                self._until[kind] = now + self._window_s
                return True
            self._more[kind] = self._more.get(kind, 0) + 1
            if self._more[kind] == 1:
                self._tell_later(self._until[kind] - now, record.levelno, said["event"], facts)
        return False

    def _tell_later(self, wait_s: float, level: int, event: str, facts: dict[str, object]) -> None:
        def tell() -> None:
            kind = (level, event, *facts.values())
            with self._lock:
                more = self._more.pop(kind)
                # while it goes on, counts are all that is written
                self._until[kind] = time.monotonic() + self._window_s
            structlog.get_logger().log(level, event, **facts, more=more)

        timer = threading.Timer(wait_s, tell)
        timer.daemon = True
        timer.start()


def scrub(value: object, key: str = "") -> object:
    """Return `value` without what must not be written, through lists and mappings."""
    if key and _SECRET_KEYS.search(key):
        return REDACTED
    if isinstance(value, str):
        for pattern, instead in _PATTERNS:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, MutableMapping):
        return {name: scrub(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return scrub(str(value))


def redact(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Scrub a whole line: the last processor before it is rendered."""
    return {name: scrub(value, name) for name, value in event.items()}


def configure(
    log_format: str,
    level: str,
    of_request: Callable[[], dict[str, str | None]] = dict,
    *,
    window_s: float = _MINUTE_S,
) -> None:
    """Send structlog and `logging` through the same processors to standard error.

    `of_request` gives what each line says of the request under way; asked only when something is written. A frequent
    line is written once in `window_s`, with how often it came.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        lambda _logger, _name, event: of_request() | event,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # the traceback becomes text here, so that the next processor reads it too
                structlog.processors.format_exc_info,
                redact,
                renderer,
            ],
        )
    )
    handler.addFilter(_Seldom(window_s))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
