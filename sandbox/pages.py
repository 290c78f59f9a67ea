"""The people's doors: a phone with its inbox, and a payment page.

In: a browser. Out: Japanese pages without scripts or foreign assets. A GET changes nothing; what a person does on the
payment page is a POST and leads on like Stripe's own page: to `success_url`, to the konbini slip, or back to
`cancel_url`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from sandbox.checkout import WrongMomentError
from sandbox.messages import JST, Message
from sandbox.state import World
from sandbox.stripe_objects import Json

_HERE = Path(__file__).parent
_LINK = re.compile(r"https://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_ON_ONE_PAGE = 50
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
_STATES = {
    "received": ("到達", "good"),
    "processing": ("配信中", "busy"),
    "unconnected": ("圏外", "bad"),
    "error": ("不達", "bad"),
    "unknown": ("不明", "busy"),
    "canceled": ("取消", "bad"),
    "expired": ("期限切れ", "bad"),
}
_WEEKDAYS = "月火水木金土日"
_STORE_NAMES = {
    "familymart": "ファミリーマート",
    "lawson": "ローソン",
    "ministop": "ミニストップ",
    "seicomart": "セイコーマート",
}


@dataclass(frozen=True, slots=True)
class Bubble:
    """One SMS on the phone's screen."""

    text: Markup
    at: str
    day: str | None  # set where a new day begins


def routes(world: World) -> list[web.RouteDef | web.StaticDef]:
    """Return the pages' routes."""
    pages = Pages(world)
    return [
        web.get("/", pages.start),
        web.get("/phone", pages.numbers),
        web.get("/phone/{number}", pages.inbox),
        web.get("/pay/{id}", pages.pay),
        web.post("/pay/{id}", pages.act),
        web.get("/pay/{id}/slip", pages.slip),
        web.post("/pay/{id}/slip", pages.settle),
        web.static("/static", _HERE / "static"),
    ]


class Pages:
    """The pages over one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        loader = jinja2.FileSystemLoader(_HERE / "templates")
        self._templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)

    async def start(self, request: web.Request) -> web.Response:
        """Return what this is and where to go."""
        del request
        world = self._world
        return self.page("start.html", messages=len(world.messages.all), numbers=len(world.messages.by_number))

    async def numbers(self, request: web.Request) -> web.Response:
        """List the numbers that SMS were sent to, the newest message first."""
        wanted = re.sub(r"\D", "", request.query.get("q", ""))
        inboxes = self._world.messages.by_number
        found = (number for number in reversed(inboxes) if wanted in number)
        page = list(islice(found, _ON_ONE_PAGE + 1))
        rows = [_row(inboxes[number][-1], len(inboxes[number])) for number in page[:_ON_ONE_PAGE]]
        return self.page("numbers.html", rows=rows, wanted=wanted, total=len(inboxes), more=len(page) > _ON_ONE_PAGE)

    async def inbox(self, request: web.Request) -> web.Response:
        """Show one number's phone: each SMS that reached it, exactly as sent."""
        number = request.match_info["number"]
        messages = self._world.messages.by_number.get(number)
        if messages is None:
            return self.message(
                404, "この番号あてのSMSはありません", "番号をお確かめのうえ、一覧からお選びください。", "/phone"
            )
        arrived = sorted(
            (message for message in messages if message.received_at is not None), key=lambda one: one.received_at or ""
        )
        waiting = sum(message.state == "processing" for message in messages)
        failed = [_STATES[message.state][0] for message in messages if message.state not in {"received", "processing"}]
        sender = f"0005{messages[-1].service_id:06d}"
        return self.page(
            "inbox.html",
            number=_dashed(number),
            carrier=messages[-1].carrier,
            sender=sender,
            bubbles=_bubbles(arrived, self._world.settings.link_map),
            waiting=waiting,
            failed=failed,
            now=datetime.now(JST).strftime("%H:%M"),
        )

    async def pay(self, request: web.Request) -> web.Response:
        """Show the payment page of a session."""
        session = self._session(request)
        if session is None:
            return self.no_session()
        if session["status"] == "open":
            payment = self._world.checkouts.payment(session)
            declined = payment is not None and payment["last_payment_error"] is not None
            return self._pay_page(session, declined=declined)
        if session["status"] == "expired":
            text = "お支払いの受付時間が過ぎました。もとのページにもどって、はじめからやり直してください。"
            return self.message(410, "このお支払いページの期限が切れています", text, session["cancel_url"])
        text = "このお支払いは手続きが終わっています。"
        return self.message(200, "お手続きは完了しています", text, _success_url(session))

    async def act(self, request: web.Request) -> web.Response:
        """Do what the person chose on the payment page."""
        session = self._session(request)
        if session is None:
            return self.no_session()
        choice = (await request.post()).get("choice")
        checkouts, session_id = self._world.checkouts, session["id"]
        methods = session["payment_method_types"]
        try:
            if choice == "declined" and "card" in methods:
                checkouts.decline(session_id)
                return self._pay_page(session, declined=True)
            if choice == "konbini" and "konbini" in methods:
                checkouts.order_konbini(session_id)
                return see_other(f"/pay/{session_id}/slip")
            if choice in {"card", "paypay"} and choice in methods:
                checkouts.pay(session_id, str(choice))
                return see_other(_success_url(session))
        except WrongMomentError:
            return see_other(f"/pay/{session_id}")
        return self._pay_page(session, declined=False)

    async def slip(self, request: web.Request) -> web.Response:
        """Show the konbini slip of a session."""
        session = self._session(request)
        payment = None if session is None else self._world.checkouts.payment(session)
        if session is None or payment is None or session["status"] != "complete":
            return self.no_session()
        action = payment["next_action"]
        slip = action["konbini_display_details"] if action else None
        stores = [(_STORE_NAMES[store], codes) for store, codes in slip["stores"].items()] if slip else []
        return self.page(
            "slip.html",
            shop=self._world.checkouts.shop(session["id"]),
            amount=session["amount_total"],
            stores=stores,
            pay_by=moment(slip["expires_at"]) if slip else "",
            paid=session["payment_status"] == "paid",
            refunding=bool(self._world.checkouts.refunds_waiting(session)),
            back=_success_url(session),
        )

    async def settle(self, request: web.Request) -> web.Response:
        """Let the konbini's money come, or the slip lapse; let money that goes back arrive, or not."""
        session = self._session(request)
        if session is None:
            return self.no_session()
        choice = (await request.post()).get("choice")
        with suppress(WrongMomentError):  # it was settled before: the slip says how
            if choice in {"paid", "lapsed"}:
                self._world.checkouts.settle_konbini(session["id"], paid=choice == "paid")
            elif choice in {"refund_taken", "refund_lapsed"}:
                self._world.checkouts.settle_refunds(session["id"], taken=choice == "refund_taken")
        return see_other(f"/pay/{session['id']}/slip")

    def _session(self, request: web.Request) -> Json | None:
        return self._world.checkouts.session(request.match_info["id"])

    def _pay_page(self, session: Json, *, declined: bool) -> web.Response:
        checkouts = self._world.checkouts
        return self.page(
            "pay.html",
            shop=checkouts.shop(session["id"]),
            amount=session["amount_total"],
            lines=checkouts.lines(session["id"]),
            methods=session["payment_method_types"],
            declined=declined,
            back=session["cancel_url"],
            expires=moment(session["expires_at"]),
        )

    def no_session(self) -> web.Response:
        """Answer that there is no such payment page."""
        text = "アドレスをお確かめください。もとのページからもう一度お進みいただくこともできます。"
        return self.message(404, "お支払いページが見つかりません", text, None)

    def message(self, status: int, title: str, text: str, back: str | None) -> web.Response:
        """Show one sentence, with a way back."""
        return self.page("message.html", status=status, title=title, text=text, back=back)

    def page(self, name: str, status: int = 200, **values: Any) -> web.Response:  # noqa: ANN401 - a template's values
        """Return a page."""
        html = self._templates.get_template(name).render(values)
        return web.Response(status=status, text=html, content_type="text/html", headers=_SECURITY)


def tappable(text: str, link_map: Mapping[str, str]) -> Markup:
    """Make an SMS's https links tappable: the text stays as sent, the address follows the map."""
    pieces = []
    end = 0
    for match in _LINK.finditer(text):
        link = match[0].rstrip(".,;:!?')]")
        pieces.append(escape(text[end : match.start()]))
        pieces.append(Markup('<a href="{}">{}</a>').format(_mapped(link, link_map), link))
        end = match.start() + len(link)
    pieces.append(escape(text[end:]))
    return Markup("").join(pieces)


def _mapped(link: str, link_map: Mapping[str, str]) -> str:
    for prefix, address in link_map.items():
        rest = link.removeprefix(prefix)
        # the prefix must end where a host or folder ends: https://a.example is not https://a.example.net
        if rest != link and (not rest or prefix.endswith("/") or rest[0] in "/?#"):
            return address + rest
    return link


def _row(message: Message, count: int) -> dict[str, object]:
    word, tone = _STATES[message.state]
    return {
        "number": message.to,
        "shown": _dashed(message.to),
        "text": message.body.splitlines()[0][:40] if message.body.strip() else "",
        "at": moment(message.at),
        "count": count,
        "word": word,
        "tone": tone,
    }


def _bubbles(messages: list[Message], link_map: Mapping[str, str]) -> list[Bubble]:
    bubbles = []
    last_day = None
    for message in messages:
        at = datetime.fromisoformat(message.received_at or "")
        day = f"{at.month}月{at.day}日({_WEEKDAYS[at.weekday()]})"
        bubbles.append(Bubble(tappable(message.body, link_map), at.strftime("%H:%M"), None if day == last_day else day))
        last_day = day
    return bubbles


def _dashed(number: str) -> str:
    return f"{number[:3]}-{number[3:7]}-{number[7:]}"


def moment(at: float) -> str:
    """Write a time for people, in Japan."""
    local = datetime.fromtimestamp(at, JST)
    return f"{local.month}月{local.day}日({_WEEKDAYS[local.weekday()]}) {local:%H:%M}"


def _success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def see_other(url: str) -> web.Response:
    """Lead a browser on after what it posted."""
    return web.Response(status=303, headers=_SECURITY | {"Location": url})
