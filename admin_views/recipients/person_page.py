"""Show one person: the three states with their times, every event, every attempt."""

from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from admin_views.framework import display
from admin_views.framework.scoping import rows
from admin_views.staff.audit import actor_name
from app.campaigns import schedule
from app.delivery import resend
from app.models import Event, Payment, Recipient, SendLog
from app.payments.manual_payments import BY_HAND
from app.payments.review import ReviewReason, split
from app.providers.payments import PROVIDERS
from app.providers.payments.base import Dispute
from app.states import result_codes
from app.states.transitions import STEP_TIMES
from app.states.vocabulary import (
    CARRIERS,
    PAGE,
    PAYMENT,
    PAYMENT_ATTEMPT,
    SMS,
    TRACKS,
    CampaignState,
    PageState,
    PaymentAttemptState,
    PaymentState,
    SmsState,
    Track,
)

LATEST_EVENTS = 200
_MOST_EVENTS = 5_000

_AGAIN = {"undelivered": "不達の人への再送", "retry": "自動の再送", "renewed": "期限の切れたリンクの送り直し"}

# Events that change no state, by track and kind.
_KINDS = {
    ("campaign", "checks_stopped"): "回答の受け付けの停止",
    ("page", "wrong_answer"): "回答の間違い",
    ("page", "verified_again"): "別の機会に認証",
    ("page", "fetched"): "リンクの読み込み（自動の可能性あり）",
    ("sms", "repeated"): "同じ参照番号で送り直した（2通にはならない）",
    ("sms", "listed"): "自動で送り直さないことにした",
    ("sms", "duplicate"): "送信サービスに同じSMSの記録が複数",
    ("payment", "needs_review"): "決済サイトとの食い違い（要確認）",
    ("payment", "start_refused"): "決済サイトが受け付けなかった",
    ("payment", "looked_at"): "要確認の支払いを確かめた",
    ("payment", "dispute_won"): "チャージバックの取り下げ",
}
_DIFFERS = {"payment": "支払番号", "order": "注文番号", "amount": "金額", "currency": "通貨"}
# problem -> a short name, and what happened and what to do
_PROBLEMS = {
    ReviewReason.PAID_TWICE: (
        "二重のお支払い",
        (
            "二重に支払われています。ご本人のページにも、お問い合わせいただくように表示しています。"
            "決済サイトで両方の入金を確かめ、一方を返金してください。"
        ),
    ),
    ReviewReason.DISPUTED: (
        "チャージバックの申し立て",
        (
            "カード会社などから、この支払いへの異議（チャージバック）が申し立てられました。入金が取り消されることがあります。"
            "決済サイトの管理画面で回答の期限を確かめ、認めるか、証拠を出して反論してください。"
            "二重に返さないよう、返金はしないでください。"
        ),
    ),
    ReviewReason.DISPUTE_LOST: (
        "チャージバックの成立",
        (
            "チャージバックが成立し、お金はカード会社などを通してご本人に戻りました。決済サイトの管理画面で金額を確かめ、"
            "お支払いをどうするかを、ご本人に連絡して決めてください。返金はしないでください。"
        ),
    ),
    ReviewReason.PART_REFUNDED: (
        "一部返金",
        (
            "決済サイトで、一部だけが返金されています。状態は「支払済」のままです。決済サイトで返金した額とわけを確かめ、"
            "残りの扱いをご本人に確かめてください。"
        ),
    ),
    ReviewReason.REFUND_FAILED: (
        "返金の失敗",
        (
            "返金が失敗し、お金は決済サイトに戻っています。ご本人にはまだ返っていません。決済サイトの管理画面でわけを確かめ、"
            "もう一度「返金」を押すか、お振込みなどで返してください。お振込みなどで返しても、状態は「支払済」のままです。"
        ),
    ),
    ReviewReason.REFUND_NOT_DONE: (
        "返金の遅れ",
        "返金が終わっていません。決済サイトの管理画面で、返金の状態を確かめてください。",
    ),
    ReviewReason.PENDING_BESIDE: (
        "重なった支払い",
        "別の支払いと重なっています。入金後に二重になっていないか確かめてください。",
    ),
    ReviewReason.UNKNOWN: (
        "決済サイトにない手続き",
        (
            "この手続きが決済サイトに見つかりません。決済アカウントのキーを別の契約のものに替えていないか、"
            "入金がないかを確かめてください。"
        ),
    ),
}
_OTHERWISE = ("決済サイトとの食い違い", "決済サイトと食い違いがあります。決済サイトで確かめてください。")


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    at: str
    track: str
    what: str
    who: str


@dataclass(frozen=True, slots=True)
class TrackState:
    """Where a person stands on one track, with the times of the steps that were taken."""

    label: str
    badge: Markup
    times: list[tuple[str, str]]


def states(person: Recipient) -> list[TrackState]:
    """Return the three states."""
    return [_track_state(person, track) for track in (SMS, PAGE, PAYMENT)]


def _track_state(person: Recipient, track: Track) -> TrackState:
    state = getattr(person, f"{track.name}_state")
    steps = [
        (track.words[name], display.jst_exact(moment))
        for name in track.words
        if (column := STEP_TIMES.get((track.name, name))) and (moment := getattr(person, column))
    ]
    return TrackState(track.label, display.badge(state, display.word(track, state)), steps)


def facts(person: Recipient) -> list[tuple[str, str]]:
    """Return what the list said, and where the link stands."""
    found = [("管理番号", person.reference or display.NOTHING)]
    if person.payment_state != PaymentState.NONE:
        found += [("請求金額", display.yen(person.amount_yen)), ("支払期限", display.day(person.due_date))]
    if person.retry_at is not None and person.campaign.state != CampaignState.CANCELLED:
        found.append(("次の自動再送", _next_try(person, person.retry_at)))
    return [
        *found,
        ("リンクの有効期限", display.jst(person.link_expires_at)),
        ("名簿の行", f"{person.sheet_row}行目" if person.sheet_row else display.NOTHING),
        ("携帯会社", CARRIERS.get(person.carrier, person.carrier) or display.NOTHING),
    ]


def advice(person: Recipient) -> str:
    """Return what staff can do for somebody whom no SMS reached, or whose link has ended; nothing for all others."""
    if person.page_state == PageState.EXPIRED and person.opened_at is not None:
        return (
            "リンクの有効期限が切れています。この方はリンクを開いているため、同じSMSは送り直せません。"
            "必要なときは、この方だけの名簿で新しい配信を作ってください。"
        )
    if person.sms_state != SmsState.UNDELIVERED or person.page_state == PageState.REVOKED:
        return ""
    if person.retry_at is not None and person.campaign.state != CampaignState.CANCELLED:
        now = "このあと自動で送り直します（「次の自動再送」）。待てないときは、ほかの方法で連絡してください。"
    elif resend.may_resend(person):
        now = "番号が正しければ、「状況」の画面の「不達の人へ再送」で送り直せます。"
    else:
        now = "この番号へは、送り直しても届きません。"
    return (
        f"SMSは届いていません。{now}番号が違うときは、ご本人に正しい番号を確かめ、「リンクを無効にする」を押してから、"
        "正しい番号の名簿で新しい配信を作ってください。"
    )


def _next_try(person: Recipient, due: datetime) -> str:
    """Return when this person is sent another SMS by itself."""
    if person.campaign.state == CampaignState.PAUSED:
        return "配信を一時停止しているため、再開するまで送られません"
    at = schedule.leaves_at(person.campaign, due, datetime.now(UTC))
    return f"{display.jst(at)}ごろ" if at else "送信できる時間帯かリンクの有効期限が終わるため、送られない見込みです"


def timeline(person: Recipient, *, whole: bool = False) -> tuple[list[Moment], bool]:
    """Return what happened, the latest first, and say whether there is more than that."""
    most = _MOST_EVENTS if whole else LATEST_EVENTS
    found = rows(Event).filter(Event.recipient_id == person.id).order_by(Event.id.desc()).limit(most + 1).all()
    return [_moment(event) for event in found[:most]], len(found) > most


def _moment(event: Event) -> Moment:
    track = TRACKS.get(event.track)
    unlocked = (event.track, event.state) == ("page", PageState.OPENED) and event.actor.startswith("user:")
    reopened = (event.track, event.state) == ("page", PageState.UNOPENED) and event.actor.startswith("user:")
    by_staff = "ロックの解除" if unlocked else "リンクを元に戻した" if reopened else ""
    known = by_staff or _KINDS.get((event.track, event.state))
    what = known or (display.word(track, event.state) if track else event.state)
    detail = event.detail or {}
    if str(detail.get("code", "")).startswith("disowned:"):
        what = "リンクの無効（本人が「心当たりがない」を押した）"
    if event.state == "wrong_answer" and "attempt" in detail:
        what = f"{what}（{detail['attempt']}/{detail['of']}回目）"
    elif event.state == "needs_review" and detail.get("problem"):
        what = f"{_one_problem(detail['problem'])[0]}（要確認）"
    elif event.track == "sms":
        told = [_AGAIN[detail["again"]]] if detail.get("again") in _AGAIN else []
        told += [f"{detail['attempt']}回目"] if "attempt" in detail else []
        told += [result_codes.words(str(detail["code"]))] if detail.get("code") else []
        what = f"{what}（{'、'.join(told)}）" if told else what
    return Moment(display.jst_exact(event.at), track.label if track else event.track, what, actor_name(event.actor))


def attempts(person: Recipient) -> list[dict[str, object]]:
    """Return every attempt to send to this person."""
    found = rows(SendLog).filter(SendLog.recipient_id == person.id).order_by(SendLog.attempt.desc())
    return [
        {
            "attempt": row.attempt,
            "started": display.jst_exact(row.started_at),
            "state": display.badge(row.state, display.word(SMS, row.state)),
            "code": result_codes.words(row.code) or display.NOTHING,
            "carrier": CARRIERS.get(row.carrier, row.carrier) or display.NOTHING,
            "settled": display.jst_exact(row.settled_at),
        }
        for row in found
    ]


_DISPUTES = {Dispute.OPEN: "チャージバックの結果待ち", Dispute.LOST: "チャージバック成立"}


def state_of(payment: Payment) -> Markup:
    """Show where a payment stands, and what is to be known of its money beside that."""
    remarks = [word for dispute, word in _DISPUTES.items() if payment.dispute == dispute]
    if payment.state == PaymentAttemptState.PAID and payment.refunded_yen:
        remarks.append("一部返金")
    shown = display.badge(payment.state, display.word(PAYMENT_ATTEMPT, payment.state))
    return Markup("{}<br>{}").format(shown, "・".join(remarks)) if remarks else shown


def problem_words(problem: str) -> str:
    """Return what happened to a payment, and what to do."""
    return "".join(_one_problem(one)[1] for one in split(problem))


def _one_problem(problem: str) -> tuple[str, str]:
    """Return the short name of one problem, and what happened and what to do."""
    differs = [word for name, word in _DIFFERS.items() if problem.startswith("mismatch") and name in problem]
    if differs:
        return _OTHERWISE[0], f"{'・'.join(differs)}が決済サイトと合いません。決済サイトで確かめてください。"
    return _PROBLEMS.get(ReviewReason(problem), _OTHERWISE) if problem in set(ReviewReason) else _OTHERWISE


def method_of(payment: Payment) -> str:
    """Name how somebody paid."""
    if payment.account is None:
        return f"{BY_HAND[payment.method]}（消込）"
    return PROVIDERS[payment.account.provider].methods.get(payment.method, payment.method) or display.NOTHING


def account_of(payment: Payment) -> str:
    """Name the contract of a payment; one for tests says so."""
    if payment.account is None:
        return display.NOTHING
    return f"{payment.account.name}{'（テスト決済）' if payment.account.test_mode else ''}"


def _amount(payment: Payment) -> str:
    """Write the amount, and how much of it was given back where that isn't all or nothing."""
    part = payment.state == PaymentAttemptState.PAID and payment.refunded_yen
    return f"{display.yen(payment.amount_yen)}{f'（うち{display.yen(payment.refunded_yen)}を返金）' if part else ''}"


def payments(person: Recipient) -> list[dict[str, object]]:
    """Return every attempt of this person to pay."""
    found = rows(Payment).filter(Payment.recipient_id == person.id).order_by(Payment.attempt.desc())
    return [
        {
            "attempt": row.attempt,
            "created": display.jst_exact(row.created_at),
            "state": state_of(row),
            "amount": _amount(row),
            "id": row.id,
            "method": f"{method_of(row)}／理由：{row.reason}" if row.reason else method_of(row),
            "by_hand": row.account is None,
            "refunding": row.state == PaymentAttemptState.PAID and row.refund_asked_at is not None,
            "account": account_of(row),
            "plain_state": row.state,
            "reference": row.reference,
            "pay_by": display.jst(row.pay_by),
            "paid": display.jst_exact(row.paid_at),
            "contested": row.dispute in _DISPUTES,
            "problem": problem_words(row.problem),
        }
        for row in found
    ]
