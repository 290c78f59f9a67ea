"""送信先: the people written to. Numbers are masked; to see one is an act of its own, on record."""

import re
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime

from flask import abort, flash, redirect, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from admin_views.framework import display
from admin_views.framework.access import may_open, staff
from admin_views.framework.filters import Choice, Days, RowChoice, SmsChoice, states_of
from admin_views.framework.keyset_pagination import ListIndex
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.scoping import as_id, managers, rows
from admin_views.framework.secure_view import expose
from admin_views.recipients import held_words, person_page
from admin_views.recipients.held_people import leaving, seen_at
from admin_views.staff.reauthentication import require_reauthentication
from app import audit, tenancy
from app.auth.staff import Role
from app.campaigns import rendering
from app.delivery import number_limits, resend
from app.delivery.held_selection import Chosen
from app.extensions import db, vault
from app.identity.reopen import is_disowned, reopen
from app.identity.revoke import revoke
from app.identity.unlock import unlock
from app.models import Campaign, DoubledMessage, Recipient, SendLog
from app.outcomes import double_sends, manual_decisions, manual_review
from app.outcomes.manual_decisions import OF_NUMBERS, OF_UNKNOWN, SENDING, Verdict
from app.payments.asking import ask_soon
from app.problems import Refused, messages_ja
from app.states import result_codes
from app.states.vocabulary import CARRIERS, PAGE, PAYMENT, SMS, PageState, PaymentState, SmsState
from app.suppression import numbers
from app.values.phones import mask, national, to_e164

_OFFERED = 50
_FOUND_AT_MOST = 1_000
_LAST_FOUR = re.compile("[0-9]{4}")
_DECIDED = {
    Verdict.SENT: "送信済みとしました。",
    Verdict.AGAIN: "送り直しを始めました。",
    Verdict.NEVER: "もう送らないことにしました。",
    Verdict.SEND: "送信待ちにしました。",
    Verdict.SKIP: "送らないことにしました。",
}
_ONE = "/<int(max=9223372036854775807):recipient_id>"


def latest_campaigns() -> list[tuple[str, str]]:
    """Offer the latest campaigns, and the one that is asked for."""
    found = rows(Campaign).order_by(Campaign.id.desc()).limit(_OFFERED)
    offered = {str(campaign.id): campaign.name for campaign in found}
    asked = request.args.get("campaign", "")
    if as_id(asked) is not None and asked not in offered and (name := campaign_name(int(asked))):
        offered[asked] = name
    return list(offered.items())


def campaign_name(campaign_id: int) -> str | None:
    """Name one of the scope's campaigns."""
    name: str | None = rows(Campaign).filter(Campaign.id == campaign_id).with_entities(Campaign.name).scalar()
    return name


def open_phone(recipient: Recipient) -> str:
    """Return a person's number in E.164."""
    return rendering.open_phone(recipient.tenant_id, recipient.id, recipient.phone_sealed)


def _along_attempts() -> ListIndex:
    """Walk people by the time of their last attempt: the attempts' index holds it, no index of people does."""
    latest = (SendLog.recipient_id == Recipient.id) & (SendLog.attempt == Recipient.sms_attempt)
    mine = SendLog.tenant_id == tenancy.current().tenant_id
    return ListIndex(
        (SendLog.started_at, SendLog.id), (mine,), dear=True, join=lambda query: query.join(SendLog, latest)
    )


def search_people(search: str) -> list[int]:
    """Find people by their reference, their number or its last four digits; each is a look into an index."""
    tenant_id = tenancy.current().tenant_id
    plain = unicodedata.normalize("NFKC", search).strip()
    ways = [Recipient.reference == text for text in {search, plain}]
    if tenant_id is not None and _LAST_FOUR.fullmatch(plain):
        ways.append(Recipient.phone_last4_index == vault.last4_index(tenant_id, plain))
    with suppress(Refused):
        if tenant_id is not None:
            ways.append(Recipient.phone_index == vault.phone_index(tenant_id, to_e164(search)))
    found: set[int] = set()
    for way in ways:
        ids = rows(Recipient).filter(way).with_entities(Recipient.id)
        found.update(row[0] for row in ids.order_by(Recipient.id.desc()).limit(_FOUND_AT_MOST))
    return sorted(found)


def _link(_view: object, _context: object, person: Recipient, _name: str) -> Markup:
    return Markup('<a class="text-nowrap" href="{}">{}</a>').format(
        url_for("recipient.details_view", id=person.id), person
    )


class RecipientView(SecureModelView[Recipient]):
    """送信先."""

    can_view_details = True
    details_template = "office/recipient.html"
    column_list = (
        "reference",
        "phone",
        "campaign",
        "sms_state",
        "page_state",
        "payment_state",
        "amount_yen",
        "sent_at",
        "carrier",
        "delivered_at",
        "opened_at",
        "verified_at",
        "viewed_at",
        "paid_at",
        "due_date",
        "link_expires_at",
        "sheet_row",
        "created_at",
    )
    columns_on_request = column_list[8:]
    column_sortable_list = ("reference",)
    column_filters = [
        RowChoice(Recipient.campaign_id, "配信", "campaign", latest_campaigns, campaign_name, rank=5),
        SmsChoice(Recipient.sms_state, "SMS", "sms", states_of(SMS), rank=3),
        Choice(Recipient.page_state, "ページ", "page_state", states_of(PAGE), rank=4, unserved=(PageState.UNOPENED,)),
        Choice(
            Recipient.payment_state,
            "支払",
            "payment",
            states_of(PAYMENT),
            rank=2,
            unserved=(PaymentState.NONE, PaymentState.UNPAID),
        ),
        Choice(Recipient.carrier, "携帯会社", "carrier", lambda: list(CARRIERS.items())),
        Days(Recipient.sent_at, "送信日", _along_attempts),
    ]
    column_labels = {
        "reference": "管理番号",
        "phone": "電話番号",
        "campaign": "配信",
        "sms_state": "SMS",
        "page_state": "ページ",
        "payment_state": "支払",
        "amount_yen": "請求金額",
        "sent_at": "送信日時",
        "carrier": "携帯会社",
        "delivered_at": "到達日時",
        "opened_at": "開封日時",
        "verified_at": "認証日時",
        "viewed_at": "閲覧日時",
        "paid_at": "支払日時",
        "due_date": "支払期限",
        "link_expires_at": "リンクの有効期限",
        "sheet_row": "名簿の行",
        "created_at": "登録日時",
    }
    column_formatters = {
        "reference": _link,
        "phone": lambda _v, _c, person, _n: Markup('<span class="text-nowrap">{}</span>').format(
            mask(open_phone(person))
        ),
        "sms_state": display.state_of(SMS),
        "page_state": display.state_of(PAGE),
        "payment_state": display.state_of(PAYMENT),
        "amount_yen": display.money,
        "carrier": display.words_of(CARRIERS),
    }
    number_columns = ("amount_yen", "sheet_row")
    intro = "SMSを送る相手です。電話で問い合わせを受けたら、管理番号か電話番号で探してください。"
    empty_text = "該当する送信先がありません。条件を変えるか、配信の名簿から取り込んでください。"
    search_label = "管理番号・電話番号（全桁か下4桁）"
    search_hint = "氏名や番号の一部では探せません。管理番号か電話番号の全体、または電話番号の下4桁を入力してください。"

    def __init__(self) -> None:
        super().__init__(Recipient, "送信先", endpoint="recipient")

    def init_search(self) -> bool:
        """Offer a search."""
        return True

    def search_ids(self, search: str) -> list[int]:
        """Find people."""
        return search_people(search)

    @expose("/details/")
    def details_view(self) -> BaseResponse | str:
        """Show one person: three states, and everything that happened."""
        return self._page(self.get_one(request.args.get("id")))

    def _page(self, person: Recipient, phone: str = "") -> str:
        happened, more = person_page.timeline(person, whole=request.args.get("all") == "1")
        return self.render(
            self.details_template,
            person=person,
            phone=phone or mask(open_phone(person)),
            revealed=bool(phone),
            may_reveal=staff().role == Role.MANAGER,
            may_pay_act=may_open("payment_acts"),
            facts=person_page.facts(person),
            timeline=happened,
            more_happened=more,
            attempts=person_page.attempts(person),
            payments=person_page.payments(person),
            states=person_page.states(person),
            case=manual_review.case(person),
            held_words=held_words,
            managers=managers(),
            service=held_words.service(person.campaign),
            advice=person_page.advice(person),
            disowned=is_disowned(person),
            may_renew=resend.may_renew(person),
            suppression=numbers.entry_of(person.tenant_id, person.phone_index),
            asked_about=person.sms_state == SmsState.UNKNOWN,
            doubled=rows(DoubledMessage)
            .filter(DoubledMessage.recipient_id == person.id, DoubledMessage.settled_at.is_(None))
            .order_by(DoubledMessage.attempt)
            .all(),
            capped=result_codes.words(person.sms_code) if number_limits.is_held(person) else "",
            may_settle=staff().role == Role.MANAGER,
        )

    @expose(f"{_ONE}/reveal", methods=["POST"])
    @require_reauthentication
    def reveal(self, recipient_id: int) -> BaseResponse | str:
        """Show a number in full, once, on the page that answers; put on record who asked."""
        if staff().role != Role.MANAGER:
            abort(403)
        person = self.get_one(recipient_id)
        audit.record(db.session, actor=staff().actor, act="reveal_phone", target=f"recipient:{person.id}")
        db.session.commit()
        return self._page(person, national(open_phone(person)))

    @expose(f"{_ONE}/unlock", methods=["POST"])
    @require_reauthentication
    def unlock(self, recipient_id: int) -> BaseResponse:
        """Let a person who is locked out try again."""
        person = self.get_one(recipient_id)
        if unlock(person.id, actor=staff().actor, at=datetime.now(UTC)):
            flash("ロックを解除しました。受信者は、同じリンクからもう一度回答できます。", "success")
        else:
            flash("この送信先はロックされていません。", "warning")
        return redirect(url_for("recipient.details_view", id=recipient_id), 303)

    @expose(f"{_ONE}/ask-site", methods=["POST"])
    def ask_provider(self, recipient_id: int) -> BaseResponse:
        """Have the payment provider asked now about a payment: its person says on the phone that they paid."""
        person = self.get_one(recipient_id)
        if ask_soon(person.id):
            flash("決済サイトに確かめています。数秒後に、この画面を読み込み直してください。", "success")
        else:
            flash("確かめる手続きはありません。支払いの状態を見直してください。", "warning")
        return redirect(url_for("recipient.details_view", id=recipient_id), 303)

    @expose(f"{_ONE}/revoke", methods=["GET", "POST"])
    @require_reauthentication
    def revoke(self, recipient_id: int) -> BaseResponse | str:
        """End a person's link for good, once confirmed."""
        person = self.get_one(recipient_id)
        if request.method == "GET" and person.page_state != PageState.REVOKED:
            return self.render("office/revoke.html", person=person)
        if request.method == "POST" and revoke(person.id, actor=staff().actor, at=datetime.now(UTC)):
            flash("リンクを無効にしました。このリンクからはもう何も表示されません。", "success")
        else:
            flash("このリンクは、すでに無効です。", "warning")
        return redirect(url_for("recipient.details_view", id=recipient_id), 303)

    @expose(f"{_ONE}/reopen", methods=["GET", "POST"])
    @require_reauthentication
    def reopen(self, recipient_id: int) -> BaseResponse | str:
        """Open a link again that its person's own word ended, once confirmed."""
        person = self.get_one(recipient_id)
        if request.method == "GET" and is_disowned(person):
            return self.render("office/reopen.html", person=person)
        if request.method == "POST" and reopen(person.id, actor=staff().actor, at=datetime.now(UTC)):
            flash("リンクを元に戻しました。有効期限までは、同じリンクからまた開けます。", "success")
        else:
            flash("このリンクは、「心当たりがない」で無効になったものではありません。", "warning")
        return redirect(url_for("recipient.details_view", id=recipient_id), 303)

    @expose(f"{_ONE}/renew", methods=["GET", "POST"])
    @require_reauthentication
    def renew(self, recipient_id: int) -> BaseResponse | str:
        """Send one person their SMS again whose link ended unused, once confirmed."""
        person = self.get_one(recipient_id)
        problems = messages_ja(resend.renew_problems(person)) if request.method == "GET" else []
        if request.method == "GET" and not problems:
            return self.render("office/renew.html", person=person, leaving=leaving(person.campaign, 1))
        if request.method == "POST":
            try:
                resend.renew(person.id, user_id=staff().id)
                flash("SMSをもう一度送ります。送ったときから、リンクは新しい期限まで開けます。", "success")
            except Refused as refused:
                problems = refused.messages_ja
        for words in problems:
            flash(words, "warning")
        return redirect(url_for("recipient.details_view", id=recipient_id), 303)

    @expose(f"{_ONE}/settle/<how>", methods=["GET", "POST"])
    @require_reauthentication
    def settle(self, recipient_id: int, how: str) -> BaseResponse | str:
        """Take a manager's word for what became of an SMS that nobody can tell, once confirmed."""
        if staff().role != Role.MANAGER:
            abort(403)
        person = self.get_one(recipient_id)
        if how not in OF_UNKNOWN:
            abort(404)
        if request.method == "GET" and (case := manual_review.case(person)):
            return self._question(person, Verdict(how), case.reason, case)
        return self._decided(person, Verdict(how))

    def _question(
        self, person: Recipient, verdict: Verdict, reason: str, case: manual_review.Case | None = None
    ) -> str:
        return self.render(
            "office/settle.html",
            person=person,
            verdict=verdict,
            reason=reason,
            case=case,
            held_words=held_words,
            service=held_words.service(person.campaign),
            leaving=leaving(person.campaign, 1) if verdict in SENDING else "",
            dangerous=verdict in SENDING,
            seen_at=datetime.now(UTC).isoformat(),
        )

    def _decided(self, person: Recipient, verdict: Verdict) -> BaseResponse:
        """Take the word for what the manager saw, and for nothing that happened since."""
        recipient_id, at, done = person.id, seen_at(), 0
        if request.method == "POST" and at is not None:
            chosen = Chosen(at, ids=[recipient_id])
            done = manual_decisions.decide(person.campaign_id, verdict, chosen, user_id=staff().id).people
        if done:
            flash(_DECIDED[verdict], "success")
        else:
            flash(
                "この画面を開いたあとにほかの管理者が決めたか、結果が分かったか、配信が取り消されているため、"
                "何もしていません。いまの状態を確かめてください。",
                "warning",
            )
        return redirect(url_for("recipient.details_view", id=recipient_id), 303)

    @expose(f"{_ONE}/doubled", methods=["POST"])
    @require_reauthentication
    def doubled(self, recipient_id: int) -> BaseResponse:
        """Take a manager's word that somebody who got an SMS twice was told."""
        if staff().role != Role.MANAGER:
            abort(403)
        person = self.get_one(recipient_id)
        if double_sends.settle(person.id, user_id=staff().id):
            flash("対応済みにしました。", "success")
        else:
            flash("すでに対応済みです。", "warning")
        return redirect(url_for("recipient.details_view", id=recipient_id), 303)

    @expose(f"{_ONE}/number/<how>", methods=["GET", "POST"])
    @require_reauthentication
    def number(self, recipient_id: int, how: str) -> BaseResponse | str:
        """Take a manager's word for a person whose number gets no more SMS by itself, once confirmed."""
        if staff().role != Role.MANAGER:
            abort(403)
        person = self.get_one(recipient_id)
        if how not in OF_NUMBERS:
            abort(404)
        if request.method == "GET" and number_limits.is_held(person):
            return self._question(person, Verdict(how), person.sms_code)
        return self._decided(person, Verdict(how))
