"""到達の状況: how well an account's SMS arrive, as a picture, as tables and as a file; falls of it, for home."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import floor, isinf

from flask import Response, url_for

from admin_views.framework import display
from admin_views.framework.access import may_open, staff
from admin_views.framework.attachments import name_file
from app.models import SmsAccount
from app.reports import quality
from app.reports.quality import DAYS, Quality
from app.states import result_codes
from app.states.vocabulary import CARRIERS
from app.values.csv_injection import neutralise
from app.values.japan_time import TOKYO

_WEEK = 7
_UNKNOWN_CARRIER = "不明"
# the picture: the days' columns, and the height between its least and its whole share
_LEFT, _STEP, _TOP, _HEIGHT = 52, 19, 10, 100


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: a day's or a carrier's figures as texts, where there are any."""

    head: str
    sent: str
    delivered: str
    undelivered: str
    share: str
    half: str
    most: str


@dataclass(frozen=True, slots=True)
class Point:
    """A day's share in the picture, in its units; `label` under every fifth day."""

    x: int
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Section:
    """The part of an account's page that shows how well its SMS arrive; `least` is the picture's lowest share, %."""

    days: Sequence[Line]
    carriers: Sequence[Line]
    causes: Sequence[tuple[str, str, str]]
    points: Sequence[Point]
    least: int
    file_url: str

    @property
    def path(self) -> str:
        """The points, as an SVG line takes them."""
        return " ".join(f"{point.x},{point.y:.1f}" for point in self.points)


def section(account: SmsAccount) -> Section:
    """Return an account's last days, the latest first, and its carriers and causes of the last week."""
    today = _today()
    found = quality.by_day_and_carrier(account, today)
    days = _days(found, today)
    week = {key: one for key, one in found.items() if key[0] > today - timedelta(days=_WEEK)}
    carriers = {name: quality.together(one for (_, of), one in week.items() if of == name) for _, name in week}
    causes = quality.together(week.values()).causes
    shares = [(day, one.share) for day, one in days if one.share is not None]
    least = max(0, 10 * floor(10 * min((share for _, share in shares), default=0.0)) - 10)
    return Section(
        days=[_line(_day(day), one) for day, one in reversed(days) if one.sent],
        carriers=[_line(_carrier(name), one) for name, one in sorted(carriers.items(), key=_by_size) if one.sent],
        causes=[
            (result_codes.words(code) or "理由の記録なし", f"{count:,}", _percent(count / causes.total()))
            for code, count in causes.most_common()
            if count
        ],
        points=[_point(day, share, today, least) for day, share in shares],
        least=least,
        file_url=url_for("sms_account.quality_file", id=account.id),
    )


def file_of(account: SmsAccount) -> Response:
    """Return a CSV of an account's last days, a line for each day and carrier, with a column for each cause."""
    today = _today()
    found = quality.by_day_and_carrier(account, today)
    causes = sorted(quality.together(found.values()).causes)
    head = [
        "日付",
        "携帯会社",
        "送信",
        "到達",
        "不達",
        "到達率（%）",
        "到達までの秒数（半数が以内）",
        "同（95%が以内）",
    ]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(neutralise(cell) for cell in [*head, *(f"不達：{result_codes.words(code)}" for code in causes)])
    for (day, carrier), one in sorted(found.items()):
        if not one.sent:
            continue
        share = "" if one.share is None else f"{100 * one.share:.1f}"
        cells = [day.isoformat(), _carrier(carrier), one.sent, one.delivered, one.undelivered, share]
        cells += [_seconds(one.within_s(0.5)), _seconds(one.within_s(0.95)), *(one.causes[code] for code in causes)]
        writer.writerow(neutralise(str(cell)) for cell in cells)
    response = Response(buffer.getvalue().encode("utf-8-sig"), mimetype="text/csv")
    return name_file(response, f"到達の状況_{account.name}_{today:%Y%m%d}.csv", "delivery-quality.csv")


def fallen() -> list[tuple[str, str, str]]:
    """Return for home what each fall says, its button and its address."""
    tenant_id = staff().tenant_id
    if tenant_id is None:
        return []
    today = _today()
    return [_fall(one, today) for one in quality.falls(tenant_id, today)]


def _fall(one: quality.Fall, today: date) -> tuple[str, str, str]:
    whose = f"「{one.account.name}」" + (f"の{_carrier(one.carrier)}あて" if one.carrier else "")
    day = "今日" if one.day == today else "昨日"
    text = (
        f"SMSアカウント{whose}の到達率が、{day}は{_percent(one.share)}に下がっています"
        f"（その前の7日間は{_percent(one.before)}）。"
    )
    if not may_open("sms_account"):
        return f"{text}自社の管理者にお知らせください。", "", ""
    advice = "名簿の番号が古くないか、送信サービスに障害のお知らせがないかを確かめてください。"
    return f"{text}{advice}", "到達の状況を見る", url_for("sms_account.edit_view", id=one.account.id, _anchor="quality")


def _today() -> date:
    return datetime.now(UTC).astimezone(TOKYO).date()


def _days(found: dict[tuple[date, str], Quality], today: date) -> list[tuple[date, Quality]]:
    """Return each of the last days, the first first, of all carriers together."""
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    return [(day, quality.together(one for (at, _), one in found.items() if at == day)) for day in days]


def _point(day: date, share: float, today: date, least: int) -> Point:
    place = DAYS - 1 - (today - day).days
    x = _LEFT + place * _STEP
    height = _HEIGHT * (100 * share - least) / (100 - least)
    return Point(x, _TOP + _HEIGHT - height, f"{day.month}/{day.day}" if (today - day).days % 5 == 0 else "")


def _line(head: str, one: Quality) -> Line:
    return Line(
        head,
        f"{one.sent:,}",
        f"{one.delivered:,}",
        f"{one.undelivered:,}",
        _percent(one.share),
        _within(one.within_s(0.5)),
        _within(one.within_s(0.95)),
    )


def _by_size(item: tuple[str, Quality]) -> tuple[int, str]:
    return -item[1].sent, item[0]


def _day(day: date) -> str:
    return f"{day:%Y/%m/%d}"


def _carrier(name: str) -> str:
    return CARRIERS.get(name, name) or _UNKNOWN_CARRIER


def _percent(share: float | None) -> str:
    return display.NOTHING if share is None else f"{100 * share:.1f}%"


def _seconds(within: float | None) -> str:
    """Write seconds for a program; the last class has no end."""
    if within is None:
        return ""
    return f"{quality.LONGEST_S}超" if isinf(within) else f"{within:.0f}"


_UNITS = ((86_400, "日"), (3_600, "時間"), (60, "分"), (1, "秒"))


def _within(seconds: float | None) -> str:
    """Write how long something took at most, as people say it."""
    if seconds is None:
        return display.NOTHING
    end = quality.LONGEST_S if isinf(seconds) else int(seconds)
    size, unit = next((size, unit) for size, unit in _UNITS if end >= size and end % size == 0)
    return f"{end // size}{unit}{'超' if isinf(seconds) else '以内'}"
