"""The payment pages of PAY.JP, KOMOJU and PayPay, and their slips.

In: a browser. Out: Japanese pages without scripts or foreign assets. A GET changes nothing; what a person does is a
POST and leads on as the provider's own page does: back to the shop, paid or not, or to the slip to pay later.
"""

from contextlib import suppress

from aiohttp import web

from sandbox.orders import Order, WrongMomentError
from sandbox.pages import Pages, moment, see_other
from sandbox.state import World

_SITES = {"payjp": "PAY.JP", "komoju": "KOMOJU", "paypay": "PayPay"}
# method -> what its button says
_AT_ONCE = {
    "card": "カードで支払う",
    "credit_card": "カードで支払う",
    "paypay": "PayPayで支払う",
    "apple_pay": "Apple Payで支払う",
}
_LATER = {
    "konbini": "コンビニで支払う",
    "bank_transfer": "銀行振込で支払う",
    "pay_easy": "Pay-easyで支払う",
}
_DECLINED = {"card": "カードが断られる", "credit_card": "カードが断られる", "paypay": "残高が足りない"}
_WHERE = {
    "konbini": ("コンビニでお支払いください", (("ファミリーマート", "お支払い番号"), ("ローソン", "お支払い番号"))),
    "bank_transfer": ("銀行でお振り込みください", (("れんしゅう銀行 本店 普通", "口座番号"),)),
    "pay_easy": ("Pay-easy（ペイジー）でお支払いください", (("収納機関番号 00000", "お客様番号"),)),
}


def routes(world: World) -> list[web.RouteDef]:
    """Return the pages' routes."""
    pages = OrderPages(world)
    return [
        web.get("/till/{id}", pages.pay),
        web.post("/till/{id}", pages.act),
        web.get("/till/{id}/slip", pages.slip),
        web.post("/till/{id}/slip", pages.settle),
    ]


class OrderPages:
    """The pages over one world's orders."""

    def __init__(self, world: World) -> None:
        self._orders = world.orders
        self._pages = Pages(world)

    async def pay(self, request: web.Request) -> web.Response:
        """Show the payment page of an order."""
        order = self._order(request)
        if order is None:
            return self._pages.no_session()
        if order.state == "open":
            return self._pay_page(order)
        if order.state in {"expired", "cancelled"}:
            text = "お支払いの受付が終わりました。もとのページにもどって、はじめからやり直してください。"
            return self._pages.message(410, "このお支払いページは使えません", text, order.cancel_url)
        return self._pages.message(
            200, "お手続きは完了しています", "このお支払いは手続きが終わっています。", order.success_url
        )

    async def act(self, request: web.Request) -> web.Response:
        """Do what the person chose on the payment page."""
        order = self._order(request)
        if order is None:
            return self._pages.no_session()
        choice = str((await request.post()).get("choice"))
        try:
            if choice == "declined" and set(order.methods) & _DECLINED.keys():
                self._orders.decline(order, next(method for method in order.methods if method in _DECLINED))
                return self._pay_page(order)
            if choice in _LATER and choice in order.methods:
                self._orders.order_slip(order, choice)
                return see_other(f"/till/{order.id}/slip")
            if choice in _AT_ONCE and choice in order.methods:
                self._orders.pay(order, choice)
                return see_other(order.success_url)
        except WrongMomentError:
            return see_other(f"/till/{order.id}")
        return self._pay_page(order)

    async def slip(self, request: web.Request) -> web.Response:
        """Show the slip of an order that is paid later."""
        order = self._order(request)
        if order is None or order.method not in _WHERE or order.state == "open":
            return self._pages.no_session()
        title, places = _WHERE[order.method]
        number = f"{int(order.payment_id, 36) % 10**11:011d}"
        return self._pages.page(
            "till_slip.html",
            site=_SITES[order.site],
            shop=self._shop(order),
            amount=order.amount,
            title=title,
            places=[(place, label, number) for place, label in places],
            pay_by=moment(order.pay_by),
            state=order.state,
            back=order.success_url,
        )

    async def settle(self, request: web.Request) -> web.Response:
        """Let a slip's money come, or the slip lapse."""
        order = self._order(request)
        if order is None:
            return self._pages.no_session()
        choice = (await request.post()).get("choice")
        if choice in {"paid", "lapsed"}:
            with suppress(WrongMomentError):  # it was settled before: the slip says how
                self._orders.settle(order, paid=choice == "paid")
        return see_other(f"/till/{order.id}/slip")

    def _order(self, request: web.Request) -> Order | None:
        return self._orders.get(request.match_info["id"])

    def _shop(self, order: Order) -> str:
        return self._orders.webhook(order.site, order.account).shop

    def _pay_page(self, order: Order) -> web.Response:
        choices = [(method, _AT_ONCE[method], "成功") for method in order.methods if method in _AT_ONCE]
        declinable = [method for method in order.methods if method in _DECLINED]
        if declinable:
            choices.insert(1, ("declined", _DECLINED[declinable[0]], "失敗"))
        choices += [(method, _LATER[method], "後で入金") for method in order.methods if method in _LATER]
        return self._pages.page(
            "till.html",
            site=_SITES[order.site],
            shop=self._shop(order),
            amount=order.amount,
            description=order.description,
            choices=choices,
            declined=order.declined,
            back=order.cancel_url,
            expires=moment(order.expires_at),
        )
