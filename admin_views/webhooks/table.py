"""通知先 (Webhook): endpoints made, changed, rested, tried; their secrets, shown once; their log, sent again.

In: a manager's clicks. Out: one act of `app.webhooks` each. Can't happen here: a secret shown a second time.
"""

from datetime import date
from typing import Any

from flask import Response, abort, flash, make_response, redirect, request, url_for
from flask_admin.helpers import get_form_data
from markupsafe import Markup
from wtforms import BooleanField, Field

from admin_views.framework import display
from admin_views.framework.access import staff
from admin_views.framework.fields import ChoicesField, line, required, typed
from admin_views.framework.keyset_pagination import BadCursor, ListIndex, Place, Reading, read
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.scoping import as_id, rows
from admin_views.framework.secure_view import Form, Page, expose
from admin_views.staff.reauthentication import require_reauthentication
from admin_views.webhooks import words
from app.models import WebhookDelivery, WebhookEndpoint
from app.problems import Refused
from app.values.dates import parse_date
from app.webhooks import delivery_log, endpoints, event_types, replay
from app.webhooks.endpoints import MOST_NAME, MOST_URL, Wishes
from app.webhooks.event_types import EVENT_TYPES

_ID = "int(max=9223372036854775807)"
_ONE = f"/<{_ID}:webhook_id>/"
_PAGE = 50
# ticked where nothing was chosen yet
_USUAL = "sms.delivered,sms.undelivered,page.viewed,payment.paid,payment.refunded"


class EndpointForm(Form):
    """Where events go, and which."""

    name = line("名前", required("通知先の名前を入力してください。"), most=MOST_NAME, help="例：基幹システム")
    url = line(
        "URL",
        required("URLを入力してください。"),
        most=MOST_URL,
        help="インターネットから届く、暗号化されたURL（例： https://example.co.jp/webhook ）。",
    )
    event_types = ChoicesField(
        "通知する出来事", required("通知する出来事を1つ以上選んでください。"), offered=EVENT_TYPES
    )
    in_order = BooleanField(
        "送信先ごとに、起きた順で届ける",
        description="前の通知が届くまで、同じ送信先の次の通知を待たせます。選ばないときは、順番が前後することがあります。",
    )


def _wishes(form: EndpointForm) -> Wishes | None:
    """Return what was typed; what is refused stands at its field, and the answer is None."""
    wishes = Wishes(
        form.name.data or "", form.url.data or "", form.event_types.data or [], in_order=bool(form.in_order.data)
    )
    for name, sentences in endpoints.faults(wishes).items():
        field: Field = form[name]
        field.errors = [*field.errors, *(one for one in sentences if one not in field.errors)]
    return None if form.errors else wishes


def _link(_view: object, _context: object, row: WebhookEndpoint, _name: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(url_for("webhook.one", webhook_id=row.id), row.name)


class WebhookView(SecureModelView[WebhookEndpoint]):
    """通知先 (Webhook)."""

    column_list = ("name", "url", "event_types", "rests_because", "delivered_at")
    column_labels = {
        "name": "名前",
        "url": "URL",
        "event_types": "出来事",
        "rests_because": "状態",
        "delivered_at": "最後に届いた日時",
    }
    column_formatters = {
        "name": _link,
        "event_types": lambda _v, _c, row, _n: f"{len(row.event_types)}種類",
        "rests_because": lambda _v, _c, row, _n: words.state_badge(row),
        "delivered_at": lambda _v, _c, row, _n: display.jst_exact(row.delivered_at),
    }
    intro = (
        "配信や送信先に起きたこと（到達、閲覧、支払いなど）を、御社のサーバーへすぐに知らせます。"
        "電話番号・氏名・回答は送りません。名前を押すと、テスト通知、ログ、署名の鍵の作り直しができます。"
    )
    empty_text = "通知先が登録されていません。御社のサーバーで受け取るときは、そのURLを登録してください。"
    create_label = "通知先を登録する"

    def __init__(self) -> None:
        super().__init__(WebhookEndpoint, "通知先（Webhook）", endpoint="webhook")

    def create_links(self) -> list[tuple[str, str]]:
        """Return the way to a new endpoint: its secret is shown when it is made."""
        return [(self.create_label, url_for("webhook.new"))]

    @expose("/new", methods=["GET", "POST"])
    @require_reauthentication
    def new(self) -> Page | tuple[str, int]:
        """Make an endpoint, and show its secret this once."""
        form = EndpointForm(get_form_data(), data={"event_types": _USUAL})
        problems: list[str] = []
        if request.method == "POST" and form.validate() and (wishes := _wishes(form)) is not None:
            try:
                made = endpoints.make(wishes, actor=staff().actor)
            except Refused as refused:
                problems = refused.messages_ja
            else:
                return self._secret(made.id, made.secret, first=True)
        return self._form(form, problems, None)

    @expose(f"{_ONE}edit", methods=["GET", "POST"])
    @require_reauthentication
    def edit(self, webhook_id: int) -> Page | tuple[str, int]:
        """Change an endpoint."""
        row = self.get_one(webhook_id)
        shown = {
            "name": row.name,
            "url": row.url,
            "event_types": ",".join(row.event_types),
            "in_order": row.in_order,
        }
        form = EndpointForm(get_form_data(), data=shown)
        problems: list[str] = []
        if request.method == "POST" and form.validate() and (wishes := _wishes(form)) is not None:
            try:
                endpoints.change(webhook_id, wishes, actor=staff().actor)
            except Refused as refused:
                problems = refused.messages_ja
            else:
                flash("通知先を変更しました。テスト通知を送って、届くことを確かめてください。", "success")
                return redirect(url_for("webhook.one", webhook_id=webhook_id), 303)
        return self._form(form, problems, webhook_id)

    def _form(self, form: EndpointForm, problems: list[str], webhook_id: int | None) -> str | tuple[str, int]:
        page = self.render("office/webhook_form.html", form=form, problems=problems, webhook_id=webhook_id)
        return (page, 422) if problems or form.errors else page

    @expose(_ONE, methods=["GET", "POST"])
    @require_reauthentication
    def one(self, webhook_id: int) -> Page | tuple[str, int]:
        """Show an endpoint; do what its buttons say."""
        row = self.get_one(webhook_id)
        problems: list[str] = []
        if request.method == "POST":
            try:
                if typed("act") == "renew_secret":
                    return self._secret(webhook_id, endpoints.renew_secret(webhook_id, actor=staff().actor))
                if (done := self._act(webhook_id, typed("act"))) is not None:
                    return redirect(done, 303)
                problems = ["することをボタンから選んでください。"]
            except Refused as refused:
                problems = refused.messages_ja
            row = self.get_one(webhook_id)
        page = self.render(
            "office/webhook.html",
            row=row,
            problems=problems,
            state=words.state_badge(row),
            why=words.WHY.get(row.rests_because, ""),
            events="、".join(event_types.word(one) for one in row.event_types),
            times=[
                ("最後に届いた日時", display.jst_exact(row.delivered_at)),
                ("登録の日時", display.jst(row.created_at)),
            ],
            former=display.jst(words.alive_until(row)) if words.alive_until(row) else "",
            overlap=int(endpoints.OVERLAP.total_seconds() // 3600),
        )
        return (page, 422) if problems else page

    @staticmethod
    def _act(webhook_id: int, act: str) -> str | None:
        """Do what a button says; return where that leads. Raises Refused."""
        actor, here = staff().actor, url_for("webhook.one", webhook_id=webhook_id)
        match act:
            case "ping":
                replay.ping(webhook_id, actor=actor)
                flash("テスト通知を送ります。数秒後に、このログで結果を確かめてください。", "success")
                return url_for("webhook.log", webhook_id=webhook_id)
            case "rest":
                endpoints.rest(webhook_id, actor=actor)
                flash("休止しました。休止中の出来事は、再開したときに通知できます。", "success")
            case "resume":
                endpoints.resume(webhook_id, actor=actor)
                flash("再開しました。休止中の出来事も通知します。", "success")
            case "skip":
                endpoints.resume(webhook_id, actor=actor, skip=True)
                flash("再開しました。休止中の出来事は通知せず、これからの出来事を通知します。", "success")
            case "end_former":
                endpoints.end_former_secret(webhook_id, actor=actor)
                flash("前の署名の鍵を使えなくしました。", "success")
            case _:
                return None
        return here

    def _secret(self, webhook_id: int, secret: str, *, first: bool = False) -> Response:
        hours = int(endpoints.OVERLAP.total_seconds() // 3600)
        page = self.render("office/webhook_secret.html", webhook_id=webhook_id, secret=secret, first=first, hours=hours)
        answer = make_response(page)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    # --- the log ---

    @expose(f"{_ONE}log", methods=["GET", "POST"])
    @require_reauthentication
    def log(self, webhook_id: int) -> Page | tuple[str, int]:
        """Show what was delivered; send some of it again."""
        row = self.get_one(webhook_id)
        problems: list[str] = []
        if request.method == "POST":
            try:
                count = self._replay(webhook_id, typed("act"))
            except Refused as refused:
                problems = refused.messages_ja
            else:
                flash(f"{count:,}件の通知を送り直します。結果は、このログで確かめてください。", "success")
                return redirect(url_for("webhook.log", webhook_id=webhook_id), 303)
        failed = request.args.get("only") == "failed"
        index = ListIndex((WebhookDelivery.id,), (WebhookDelivery.endpoint_id == row.id,))
        if failed:
            index = index.within(WebhookDelivery.due_at.is_(None), ~WebhookDelivery.delivered)
        reading = Reading(rows(WebhookDelivery), WebhookDelivery, index)
        try:
            listing = read(reading, Place(request.args.get("after", ""), request.args.get("before", "")), _PAGE)
        except BadCursor:
            listing = read(reading, Place(), _PAGE)
        page = self.render(
            "office/webhook_log.html",
            row=row,
            problems=problems,
            listing=listing,
            failed=failed,
            deliveries=[_shown(one) for one in listing.rows],
            days=delivery_log.KEPT.days,
            most=replay.MOST,
        )
        return (page, 422) if problems else page

    @staticmethod
    def _replay(webhook_id: int, act: str) -> int:
        """Send again what a button says; return how many. Raises Refused."""
        actor = staff().actor
        if act == "one":
            replay.one(webhook_id, as_id(typed("delivery")) or abort(404), actor=actor)
            return 1
        if act == "failed":
            return replay.failed(webhook_id, actor=actor)
        if act != "span":
            abort(404)
        return replay.span(webhook_id, _day("first"), _day("last"), actor=actor)


def _day(name: str) -> date | None:
    """Return a day that was typed; None for nothing. Raises Refused."""
    written = typed(name).strip()
    return parse_date(written) if written else None


def _shown(row: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": row.id,
        "event": event_types.word(row.event_type),
        "at": display.jst_exact(row.event_at),
        "recipient": row.recipient_id,
        "outcome": words.outcome(row),
        "status": row.status or display.NOTHING,
        "tried": display.jst_exact(row.tried_at),
        "took": f"{row.took_ms:,}ミリ秒" if row.took_ms is not None else display.NOTHING,
        "tries": row.tries,
        "fault": words.fault(row),
        "may_replay": row.due_at is None and row.event_id is not None,
    }
