"""List what needs doing now, per role: each says why, and leads to where it is done."""

from collections.abc import Iterator
from datetime import UTC, datetime

from flask import url_for
from sqlalchemy import and_, exists, func, not_, or_, select
from sqlalchemy.orm import Query, aliased

from admin_views.accounts import quality, sms_waits
from admin_views.api_access import refused
from admin_views.campaigns import live, preview
from admin_views.framework.access import may_open, staff
from admin_views.framework.scoping import rows
from admin_views.overview import payment_todos
from admin_views.overview.todo import NAMED, STUCK_AFTER, Todo, count_of
from admin_views.webhooks import words as webhook_words
from app.auth.staff import Role
from app.campaigns import schedule
from app.delivery import number_limits
from app.delivery.failover import goes_by
from app.models import (
    Campaign,
    DoubledMessage,
    Event,
    Export,
    Import,
    PaymentAccount,
    Recipient,
    SenderNumber,
    SmsAccount,
    SuppressionProposal,
    Tenant,
    User,
)
from app.outcomes import manual_review
from app.reports.progress import progress, rate_per_s
from app.setback import account_holds
from app.states.vocabulary import (
    SMS,
    CampaignState,
    ExportState,
    ImportState,
    SenderState,
    SmsState,
    TenantState,
)

_DECIDED_ABOUT = 100  # campaigns with SMS of unknown fate: each that somebody has to decide about is named
_LOOKED_INTO = 10  # campaigns are looked at more closely

_RETURNED = and_(Campaign.state == CampaignState.DRAFT, Campaign.returned_reason != "")


def for_company() -> list[Todo]:
    """Return what a company's managers and clerks have to do."""
    todos = [*_sms_accounts(), *(Todo(*one) for one in quality.fallen())]
    if (
        not rows(PaymentAccount).filter(PaymentAccount.active).first()
        and rows(Campaign).filter(Campaign.payment_required).first()
    ):
        todos.append(
            _missing_account("payment_account", "支払いを案内する配信がありますが、決済アカウントがありません。")
        )
    todos += [
        *_approvals(),
        *_stopped_checks(),
        *_paused(),
        *_doubled(),
        *_restored(),
        *_unknown(),
        *_capped(),
        *_proposed_suppressions(),
        *_standing_still(),
        *_unmapped(),
        *_failed_imports(),
        *_files(),
        *(Todo(*one) for one in refused.lately()),
        *(Todo(*one) for one in webhook_words.notices()),
    ]
    for campaign in rows(Campaign).filter(_RETURNED).order_by(Campaign.id.desc()).limit(NAMED):
        url = url_for("flow.overview", campaign_id=campaign.id)
        todos.append(Todo(f"配信「{campaign.name}」は、承認されずに戻りました。", "理由を見て直す", url))
    for campaign in _came_back():
        url = url_for("flow.overview", campaign_id=campaign.id)
        todos.append(Todo(f"予約していた配信「{campaign.name}」は始まりませんでした。", "わけを見る", url))
    todos += payment_todos.for_company()
    return todos


def _approvals() -> Iterator[Todo]:
    waiting = rows(Campaign).filter(Campaign.state == CampaignState.APPROVAL).order_by(Campaign.id)
    for campaign in waiting.limit(NAMED):
        may = staff().role == Role.MANAGER and campaign.asked_by != staff().id
        url = url_for("life.approval", campaign_id=campaign.id)
        words = "は、送信の承認を待っています。"
        yield Todo(f"配信「{campaign.name}」{words}", "内容を見て承認する" if may else "内容を見る", url)


def _stopped_checks() -> Iterator[Todo]:
    stopped = rows(Campaign).filter(Campaign.checks_stopped_at.is_not(None)).order_by(Campaign.id.desc())
    for campaign in stopped.limit(NAMED):
        url = url_for("flow.overview", campaign_id=campaign.id)
        yield Todo(f"配信「{campaign.name}」は、間違った回答が多すぎるため受け付けを止めました。", "わけを見る", url)


def _paused() -> Iterator[Todo]:
    for campaign in rows(Campaign).filter(Campaign.state == CampaignState.PAUSED).order_by(Campaign.id).limit(NAMED):
        url = url_for("flow.status", campaign_id=campaign.id)
        yield Todo(f"配信「{campaign.name}」は一時停止中です。", "状況を見て再開する", url)


def _restored() -> Iterator[Todo]:
    """Return the accounts that could not be asked after a restore, and the campaigns that wait for it."""
    manager = staff().role == Role.MANAGER
    for kind, account_id, name in account_holds.held_accounts()[:NAMED]:
        text = f"アカウント「{name}」は復元の確認待ちです。復元の前の送信か支払いの記録が欠けているかもしれません。"
        if manager:
            url = url_for("restored.account", kind=kind, account_id=account_id)
            yield Todo(f"{text}管理画面の履歴と見くらべてください。", "確かめ方を見る", url)
        else:
            yield Todo(f"{text}管理者が確かめるまで、新しい配信も送られません。", "", "")
    waiting = rows(Campaign).filter(
        Campaign.restore_hold != "", Campaign.launched_at.is_not(None), Campaign.state != CampaignState.CANCELLED
    )
    for campaign in waiting.order_by(Campaign.id.desc()).limit(NAMED):
        url = url_for("flow.status", campaign_id=campaign.id)
        yield Todo(f"配信「{campaign.name}」は、復元の確認待ちのため止まっています。", "わけを見る", url)


def _unknown() -> Iterator[Todo]:
    """List people whose outcome nobody knows, also in campaigns that are over: a silent message is noticed late."""
    people = rows(Recipient).filter(Recipient.unknown_at.is_not(None), Recipient.sms_state == SmsState.UNKNOWN)
    some = rows(Campaign).filter(Campaign.id.in_(people.with_entities(Recipient.campaign_id)))
    named = 0
    # the one who waits longest for a decision stands first; one that is only asked about never takes their place
    for campaign in some.order_by(Campaign.launched_at, Campaign.id).limit(_DECIDED_ABOUT):
        unknown = live.recipients_url(campaign, SMS, SmsState.UNKNOWN)
        if undecided := manual_review.count(campaign):
            text = f"配信「{campaign.name}」に、届いたか確かめられず止めているSMSが{undecided:,}件あります。"
            whose = (
                "送信済みとするか送り直すかを決めてください。まとめて決められます。"
                if staff().role == Role.MANAGER
                else "管理者が決めます。"
            )
            yield Todo(f"{text}{whose}", "わけを見て決める", url_for("held.listed", campaign_id=campaign.id))
        elif named < NAMED and (asked_about := manual_review.unknown(campaign)):
            named += 1
            text = f"配信「{campaign.name}」の{asked_about:,}件は、届いたかを送信サービスに照会しています。"
            yield Todo(f"{text}いまは待つだけで構いません。", "一覧を見る", unknown)


def _capped() -> Iterator[Todo]:
    """List people who were not sent to because their number had as many SMS as one may get."""
    people = rows(Recipient).filter(Recipient.capped_at.is_not(None), Recipient.sms_state == SmsState.CANCELLED)
    some = rows(Campaign).filter(Campaign.id.in_(people.with_entities(Recipient.campaign_id)))
    for campaign in some.order_by(Campaign.launched_at.desc()).limit(NAMED):
        if held_people := number_limits.count(campaign):
            text = f"配信「{campaign.name}」の{held_people:,}件は、同じ電話番号への上限を超えるため保留しています。"
            whose = "送るかどうかを決めてください。" if staff().role == Role.MANAGER else "管理者が決めます。"
            yield Todo(f"{text}{whose}", "わけを見て決める", url_for("held.listed", campaign_id=campaign.id))


def _proposed_suppressions() -> Iterator[Todo]:
    """Return that numbers are proposed for the list of those not sent to."""
    waiting = rows(SuppressionProposal).filter(SuppressionProposal.settled_at.is_(None))
    if count := count_of(waiting):
        text = f"「送信しない番号」の候補が{count:,}件あります（本人が「心当たりがない」を押した番号など）。"
        yield Todo(f"{text}登録するかどうかを決めてください。", "候補を確かめる", url_for("suppression.proposed"))


def _standing_still() -> Iterator[Todo]:
    """Look for what is being sent and doesn't move; all people are counted only there."""
    now = datetime.now(UTC)
    going = rows(Campaign).filter(Campaign.state == CampaignState.SENDING)
    for campaign in going.order_by(Campaign.launched_at.desc()).limit(_LOOKED_INTO):
        if _stuck(campaign, now) and not _waits(campaign) and (waiting := progress(campaign).waiting):
            url = url_for("flow.status", campaign_id=campaign.id)
            text = f"配信「{campaign.name}」は、送信できる時間なのに進んでいません（残り{waiting:,}件）。"
            yield Todo(f"{text}10分待っても進まなければ、運営担当者にお知らせください。", "状況を見る", url)


def _stuck(campaign: Campaign, now: datetime) -> bool:
    if campaign.state != CampaignState.SENDING or campaign.launched_at is None or campaign.restore_hold:
        return False
    opens = schedule.plan(campaign, 1, now - STUCK_AFTER).begins_at
    long_open = opens is not None and opens <= max(campaign.launched_at, now - STUCK_AFTER)
    return long_open and campaign.launched_at <= now - STUCK_AFTER and not rate_per_s(campaign, now)


def _waits(campaign: Campaign) -> bool:
    """Return whether the campaign's account says why nothing moves."""
    account = campaign.sms_account
    return account is not None and bool(
        sms_waits.OF_SENDING & {notice.key for notice in sms_waits.notices(account, campaign_id=campaign.id)}
    )


def _of_drafts(state: str) -> Query[Import]:
    """Return the lists in a state, of campaigns that are still being prepared: elsewhere none can be taken any more."""
    return (
        rows(Import)
        .join(Campaign, Campaign.id == Import.campaign_id)
        .filter(Import.state == state, Campaign.state == CampaignState.DRAFT)
    )


def _unmapped() -> Iterator[Todo]:
    later = aliased(Import)
    forgotten = (
        select(later.id)
        .where(later.campaign_id == Import.campaign_id, later.id > Import.id)
        .where(later.state.not_in((ImportState.CANCELLED, ImportState.FAILED)))
        .exists()
    )
    for upload in _of_drafts(ImportState.MAPPING).filter(~forgotten).order_by(Import.id.desc()).limit(NAMED):
        url = url_for("flow.one_list", campaign_id=upload.campaign_id, import_id=upload.id)
        yield Todo(f"名簿「{upload.filename}」は、列の確認待ちです。", "列を確認して取り込む", url)


def _failed_imports() -> Iterator[Todo]:
    """Name lists that couldn't be read."""
    failed = _of_drafts(ImportState.FAILED)
    latest = select(func.max(Import.id)).where(Import.campaign_id == Campaign.id).correlate(Campaign).scalar_subquery()
    for upload in failed.filter(Import.id == latest).order_by(Import.id.desc()).limit(NAMED):
        url = url_for("flow.one_list", campaign_id=upload.campaign_id, import_id=upload.id)
        yield Todo(f"名簿「{upload.filename}」を取り込めませんでした。", "わけを見る", url)


def _sms_accounts() -> list[Todo]:
    if not rows(SmsAccount).filter(or_(SmsAccount.active, SmsAccount.shared_account_id.is_not(None))).first():
        return [_missing_account("sms_account", "SMSを送るためのアカウントがまだ登録されていません。")]
    todos = []
    for account in _waiting_accounts():
        for notice in sms_waits.notices(account):
            text = f"SMSアカウント「{account.name}」：{notice.words}{notice.advice}"
            url = url_for("sms_account.edit_view", id=account.id) if may_open("sms_account") else ""
            todos.append(Todo(text, "アカウントを確かめる" if url else "", url))
    return todos


def _waiting_accounts() -> Query[SmsAccount]:
    """Find accounts that rest, whose service wished for a pause that isn't over, or refuses to tell of messages.

    And shared ones that were taken back while a campaign is being sent by them.
    """
    now = datetime.now(UTC)
    waits = or_(
        SmsAccount.trips > 0,
        SmsAccount.send_wish_until > now,
        SmsAccount.ask_wish_until > now,
        SmsAccount.ask_refused_at.is_not(None),
    )
    sends = exists().where(goes_by(Campaign) == SmsAccount.id, Campaign.state == CampaignState.SENDING)
    gone = and_(not_(SmsAccount.active), SmsAccount.shared_account_id.is_not(None), sends)
    return rows(SmsAccount).filter(or_(and_(SmsAccount.active, waits), gone)).order_by(SmsAccount.id).limit(NAMED)


def _doubled() -> Iterator[Todo]:
    """Return for managers the people who got an SMS twice by their provider's records, until each was told."""
    if staff().role != Role.MANAGER:
        return
    open_ = rows(DoubledMessage).filter(DoubledMessage.settled_at.is_(None))
    for campaign in (
        rows(Campaign)
        .filter(Campaign.id.in_(open_.with_entities(DoubledMessage.campaign_id)))
        .order_by(Campaign.launched_at.desc(), Campaign.id)
        .limit(NAMED)
    ):
        mine = open_.filter(DoubledMessage.campaign_id == campaign.id)
        count = count_of(mine.with_entities(DoubledMessage.recipient_id).distinct())
        first = mine.order_by(DoubledMessage.recipient_id).limit(NAMED).all()
        people = rows(Recipient).filter(Recipient.id.in_([one.recipient_id for one in first])).order_by(Recipient.id)
        named = "、".join(str(person) for person in people)
        yield Todo(
            f"配信「{campaign.name}」で、送信サービスの記録に同じSMSが2通以上ある方が{count:,}人います"
            f"（{named}{'ほか' if count > NAMED else ''}）。同じSMSが2通届いたおそれがあります。"
            "送信サービスに原因を問い合わせ、ご本人におわびしてください。",
            "1人目の内容を見る" if count > 1 else "内容を見る",
            url_for("recipient.details_view", id=first[0].recipient_id),
        )


def _files() -> Iterator[Todo]:
    """List files that were ordered: those that wait to be fetched, and those being made."""
    url = url_for("export.index_view")
    mine = rows(Export).filter(Export.created_by == staff().id, Export.taken_at.is_(None)).order_by(Export.id.desc())
    for row in mine.filter(Export.state == ExportState.DONE).limit(NAMED):
        yield Todo(f"ファイル「{row.filename}」ができました。", "受け取る", url)
    for row in mine.filter(Export.state.in_((ExportState.QUEUED, ExportState.RUNNING))).limit(NAMED):
        share = f"{100 * row.rows_done // row.rows_total}%" if row.rows_total else "待っています"
        yield Todo(f"ファイル「{row.filename}」を作っています（{share}）。", "進み具合を見る", url)


def _came_back() -> list[Campaign]:
    """Return the drafts that were scheduled and could not start."""
    returned = (
        rows(Event)
        .filter(Event.recipient_id.is_(None), Event.track == "campaign", Event.detail["reason"].astext == "changed")
        .with_entities(Event.campaign_id)
    )
    drafts = rows(Campaign).filter(Campaign.state == CampaignState.DRAFT, Campaign.id.in_(returned))
    return [campaign for campaign in drafts.order_by(Campaign.id).limit(NAMED) if preview.came_back(campaign)]


def _missing_account(endpoint: str, text: str) -> Todo:
    if may_open(endpoint):
        return Todo(text, "登録する", url_for(f"{endpoint}.index_view"))
    return Todo(f"{text}自社の管理者に登録を依頼してください。", "", "")


def for_operator() -> list[Todo]:
    """Return what those who run the installation have to do."""
    todos = []
    waiting = rows(Tenant).filter(Tenant.state == TenantState.REVIEW)
    if count := count_of(waiting):
        url = url_for("tenant.index_view", state=str(TenantState.REVIEW))
        todos.append(Todo(f"審査中の企業が{count:,}社あります。", "審査する企業を見る", url))
    if count := count_of(rows(SenderNumber).filter(SenderNumber.state == SenderState.APPLIED)):
        url = url_for("sender_number.index_view", state=str(SenderState.APPLIED))
        todos.append(Todo(f"携帯会社の回答を待つ送信元番号が{count:,}件あります。", "回答を記録する", url))
    staffed = select(User.tenant_id).where(User.role == Role.MANAGER, User.active, User.tenant_id.is_not(None))
    todos += [
        Todo(
            f"企業「{company.name}」に管理者がいません。",
            "利用者を登録する",
            url_for("user.create_view", company=company.id),
        )
        for company in rows(Tenant).filter(Tenant.id.not_in(staffed)).order_by(Tenant.id).limit(3)
    ]
    if not rows(Tenant).first():
        todos.append(Todo("企業がまだ登録されていません。", "企業を登録する", url_for("tenant.create_view")))
    return todos
