"""Messages whose fate the machine can't prove: held until a manager decides whether they count as sent.

Nothing is guessed. A message is held where no look-up proved anything for `HELD_AFTER_S`, and once it has settled where
none can: it was sent again by itself already, the account is another contract now, the provider has no look-up. One
that was accepted and never told of again is held too (`app.delivery.silence`). The machine goes on asking meanwhile,
and a receipt still settles it. Who opened the link since got the SMS and is not held.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app import audit, queues
from app.accounts import Unusable, for_sms
from app.config import settings
from app.delivery import contracts, log, slices
from app.extensions import db
from app.models import Campaign, Recipient, SmsAccount
from app.sms import PROVIDERS
from app.tracking import codes
from app.tracking.moves import Step, move
from app.tracking.reached import REACHED_R
from app.tracking.states import SMS, CampaignState, SmsState
from app.vault import CannotOpen

# why a message is held, and what a manager reads about it
SILENT = "silent"
LISTED = "listed"
SENT_AGAIN = "sent_again"
ARRIVED_BEFORE = "arrived_before"
NO_LOOKUP = "no_lookup"
OTHER_CONTRACT = "other_contract"
UNPROVEN = "unproven"
UNPROVEN_ALONE = "unproven_alone"

REASONS: Mapping[str, str] = {
    SILENT: "送信サービスは受け付けましたが、届いたかどうかの知らせがありません。",
    LISTED: (
        "送信サービスの記録には、このSMSの参照番号では見つかりませんが、同じころに同じ番号へ受け付けられたSMSがあります。"
        "それがこのSMSかもしれないため、自動では送り直しません。送信サービスの管理画面の送信履歴で、その番号あての内容を確かめてください。"
    ),
    SENT_AGAIN: (
        "結果が分からないままのSMSを自動で1回送り直しましたが、その結果も分かりません。"
        "自動で送り直すのは1回までのため、止めています。"
    ),
    ARRIVED_BEFORE: "前に送った分は送信サービスが受け付けていましたが、送り直した分の結果が分かりません。",
    NO_LOOKUP: "この送信サービスでは、送られたかどうかを照会できません。",
    OTHER_CONTRACT: (
        "送信したあとにSMSアカウントの契約（サービス、接続先、テナントIDなど）が変わったため、"
        "送信サービスに照会しても確かめられません。前の契約の管理画面で、送信履歴を確かめてください。"
    ),
    UNPROVEN: "送信サービスに照会しましたが、送られたことも、送られていないことも確かめられません。",
    UNPROVEN_ALONE: (
        "送信サービスに記録はありませんが、このあとに受け付けられたSMSがないため、記録の遅れと区別できません。"
        "SMSアカウントに「確認用番号」を登録すると、次からは自動で確かめます。"
    ),
}

_SINCE = "coalesce(l.answered_at, l.started_at)"
_REASON = f"""
    CASE WHEN r.sms_code = :no_receipt THEN '{SILENT}'
        WHEN r.sms_code = '{codes.LISTED}' THEN '{LISTED}'
        WHEN {log.SENT_AGAIN} THEN '{SENT_AGAIN}'
        WHEN {log.ARRIVED_BEFORE} THEN '{ARRIVED_BEFORE}'
        WHEN NOT :has_lookup THEN '{NO_LOOKUP}'
        WHEN k.identity IS DISTINCT FROM CAST(:identity AS bytea) THEN '{OTHER_CONTRACT}'
        WHEN NOT :has_witness THEN '{UNPROVEN_ALONE}'
        ELSE '{UNPROVEN}' END
"""
_AT_ONCE = (SILENT, LISTED, SENT_AGAIN, ARRIVED_BEFORE, NO_LOOKUP, OTHER_CONTRACT)
_HELD = f"""
    FROM recipient r JOIN send_log l ON l.recipient_id = r.id AND l.attempt = r.sms_attempt
    LEFT JOIN sms_contract k ON k.id = l.sms_contract_id
    WHERE r.tenant_id = :tenant_id AND r.unknown_at IS NOT NULL
    AND r.campaign_id = :campaign_id AND r.sms_state = 'unknown' AND NOT {REACHED_R}
    AND {_SINCE} <= CASE WHEN {_REASON} = ANY(:at_once) THEN :settled_since ELSE :asked_since END
"""


def count(campaign: Campaign) -> int:
    """Count the campaign's people about whom somebody has to decide."""
    return int(db.session.execute(text(f"SELECT count(*) {_HELD}"), _values(campaign)).scalar_one())


def unknown(campaign: Campaign) -> int:
    """Count the campaign's people whose SMS has no known outcome, held ones too; through an index, at any time."""
    statement = """
        SELECT count(*) FROM recipient WHERE tenant_id = :tenant_id AND unknown_at IS NOT NULL
        AND campaign_id = :campaign_id AND sms_state = 'unknown'
    """
    return int(db.session.execute(text(statement), _of(campaign)).scalar_one())


def _of(campaign: Campaign) -> dict[str, object]:
    return {"tenant_id": campaign.tenant_id, "campaign_id": campaign.id}


def reason(person: Recipient) -> str | None:
    """Return why somebody has to decide about this person, a key of REASONS; None where nobody has to."""
    if person.sms_state != SmsState.UNKNOWN:
        return None
    values = {**_values(person.campaign), "id": person.id}
    found: str | None = db.session.execute(text(f"SELECT {_REASON} {_HELD} AND r.id = :id"), values).scalar()
    return found


def is_held(person: Recipient) -> bool:
    """Return whether somebody has to decide about this person."""
    return reason(person) is not None


def settle_unknown(recipient_id: int, *, as_sent: bool, user_id: int) -> bool:
    """Take a person's word for a held message: it counts as sent, or it is sent again, whatever that may double.

    Says whether it was: it may have been settled meanwhile, and nobody of a cancelled campaign is written to. Commits.
    """
    campaign_id, state, slice_id, attempt = _locked(recipient_id)
    # who was never sent to stands in no slice and is not held either
    if attempt is None or (state == CampaignState.CANCELLED and not as_sent):
        db.session.rollback()
        return False
    now = datetime.now(UTC)
    actor = f"user:{user_id}"
    to, code = (SmsState.ACCEPTED, codes.AS_SENT) if as_sent else (SmsState.QUEUED, codes.AGAIN)
    step = Step(recipient_id, now, {"attempt": attempt, "code": code}, {"sms_code": code})
    move(db.session, SMS, to, [step], actor=actor, sources=[SmsState.UNKNOWN])
    connection = db.session.connection()
    if as_sent:
        log.end(connection, [log.Ended(recipient_id, attempt, SmsState.ACCEPTED, code, now)])
    else:
        # what became of the earlier attempt stays unknown: that is the truth
        slices.go_on(db.session, slice_id, campaign_id, actor=actor)
    audit.record(
        db.session,
        actor=actor,
        act="settle_as_sent" if as_sent else "settle_again",
        target=f"recipient:{recipient_id}",
        detail={"attempt": attempt},
    )
    db.session.commit()
    if as_sent:
        slices.complete(campaign_id)
    else:
        queues.enqueue("jobs.delivery.send", once=True)
    return True


def call_off(recipient_id: int, *, user_id: int) -> bool:
    """Take a manager's word that a held message is sent no more: the person is 取消. Commits.

    Returns whether it was done: the message may have been settled meanwhile.
    """
    _, _, _, attempt = _locked(recipient_id)
    if attempt is None:
        db.session.rollback()
        return False
    actor = f"user:{user_id}"
    step = Step(
        recipient_id,
        datetime.now(UTC),
        {"attempt": attempt, "code": codes.NOT_WANTED},
        {"sms_code": codes.NOT_WANTED},
    )
    # what became of the attempt stays unknown: that is the truth
    move(db.session, SMS, SmsState.CANCELLED, [step], actor=actor, sources=[SmsState.UNKNOWN])
    audit.record(
        db.session,
        actor=actor,
        act="settle_call_off",
        target=f"recipient:{recipient_id}",
        detail={"attempt": attempt},
    )
    campaign_id = db.session.get_one(Recipient, recipient_id).campaign_id
    db.session.commit()
    slices.complete(campaign_id)
    return True


def _locked(recipient_id: int) -> tuple[int, str, int | None, int | None]:
    """Lock campaign, slice and person, the order in which all are locked.

    Returns the campaign's id and state, the slice, and the attempt that is held; None where none is.
    """
    person = db.session.get_one(Recipient, recipient_id, populate_existing=True)
    campaign_id = person.campaign_id
    values = {**_values(person.campaign), "id": recipient_id}
    state = db.session.execute(
        text("SELECT state FROM campaign WHERE id = :campaign_id FOR NO KEY UPDATE"), values
    ).scalar_one()
    slice_id = slices.lock_of(db.session, campaign_id, recipient_id)
    attempt = db.session.execute(
        text(f"SELECT r.sms_attempt {_HELD} AND r.id = :id FOR NO KEY UPDATE OF r"),
        values,
    ).scalar()
    return campaign_id, str(state), slice_id, attempt


def _values(campaign: Campaign) -> dict[str, object]:
    """Return what `_HELD` is asked with: the account as it is today, and since when a message must be unknown."""
    now = datetime.now(UTC)
    account = campaign.sms_account
    return {
        **_of(campaign),
        "no_receipt": codes.NO_RECEIPT,
        "has_lookup": account is None or _has_lookup(account),
        "identity": contracts.identity(account) if account is not None else None,
        "has_witness": account is not None and account.witness_phone_sealed is not None,
        "at_once": list(_AT_ONCE),
        "settled_since": now - timedelta(seconds=settings().gateway_settle_s),
        "asked_since": now - timedelta(seconds=settings().held_after_s),
    }


def _has_lookup(account: SmsAccount) -> bool:
    try:
        return PROVIDERS[account.provider].lookup(for_sms(account), "") is not None
    except (Unusable, CannotOpen):
        return True  # it may be usable again
