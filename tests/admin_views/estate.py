"""A company in which everything has happened: campaigns, lists, people and payments in each of their states."""

import io
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from flask import Flask
from psycopg.types.json import Jsonb
from sqlalchemy import select

from admin_views.recipients.person_page import _KINDS
from admin_views.staff.audit import ACTS
from app import audit, tenancy
from app.auth import second_factor
from app.campaigns import preflight
from app.exports import export_jobs
from app.exports.selection import Selection
from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import import_run, imports, whole_look
from app.models import (
    Campaign,
    Export,
    ExportLayout,
    Import,
    Payment,
    PaymentDifference,
    Recipient,
    Reminder,
    SendLog,
    User,
    WebhookDelivery,
    WebhookEndpoint,
)
from app.payments.reconciliation import Kind
from app.states import result_codes
from app.states.transitions import STEP_TIMES
from app.states.vocabulary import CAMPAIGN, PAGE, PAYMENT, SMS, SenderState
from app.suppression import numbers, proposals
from app.suppression.numbers import Terms
from app.values.suppression_reasons import SuppressionReason
from app.webhooks import endpoints, replay
from app.webhooks.endpoints import Wishes
from app.webhooks.event_types import EVENT_TYPES
from tests import factories
from tests.admin_views.conftest import House, furnish
from tests.raw_states import force

LIST = """\
管理番号,電話番号,氏名,生年月日,契約番号下4桁,請求金額,払込期限
K1,090-1234-5678,佐藤 花子,1980/1/2,0123,1000,2026/12/25
K2,080-1234-5678,鈴木 一郎,昭和55年1月2日,0456,"12,000",2026/12/25
K3,03-1234-5678,高橋 次郎,1980/1/2,0789,3000,2026/12/25
,,,,,,
K4,070-1234-5678,田中 幸子,きのう,,,2026/12/25
"""
_PEOPLE = 12


@dataclass
class Estate(House):
    """Ids of what the company has; `lists` are (campaign, import), `rows` the draft's people."""

    campaigns: dict[str, int] = field(default_factory=dict)
    lists: list[tuple[int, int]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    payments: list[int] = field(default_factory=list)
    differences: list[int] = field(default_factory=list)
    exports: list[int] = field(default_factory=list)
    sender_numbers: list[int] = field(default_factory=list)
    shared_account: int = 0
    allotment: int = 0
    suppressions: list[int] = field(default_factory=list)
    webhooks: list[int] = field(default_factory=list)


def furnish_all(app: Flask, owner: psycopg.Connection) -> Estate:
    """Make the company. States that only time or other people bring about are written by the database's owner."""
    with app.app_context():
        estate = Estate(**vars(furnish("みどり信販", people=_PEOPLE)))
        estate.campaigns = _campaigns(estate)
        estate.sender_numbers = [
            factories.sender_number(estate.sms_account, f"24305{place}", carrier="softbank", state=str(state))
            for place, state in enumerate(SenderState)
        ]
        estate.shared_account = factories.shared_account()
        estate.allotment = factories.allotment(estate.shared_account, estate.tenant)
        estate.lists = _lists(estate)
    with app.app_context(), tenancy.platform():
        for user in db.session.query(User):
            second_factor.offer(user)
        db.session.commit()
    with app.app_context(), tenancy.tenant(estate.tenant):
        drafts = select(Recipient.id).where(Recipient.campaign_id == estate.campaigns["draft"]).order_by(Recipient.id)
        estate.rows = list(db.session.scalars(drafts))
        preflight.run(estate.campaigns["checked"])
        preflight.run(estate.campaigns["scheduled"])
        asked = preflight.run(estate.campaigns["approval"])
        waiting = db.session.get_one(Campaign, estate.campaigns["approval"])
        waiting.asked_by, waiting.asked_at, waiting.asked_digest = estate.clerk, datetime.now(UTC), asked.digest
        for act in ACTS:
            target, detail = f"campaign:{estate.campaign}", {"people": 3, "encoding": "cp932", "fields": ["name"]}
            audit.record(db.session, actor=f"user:{estate.clerk}", act=act, target=target, detail=detail)
        db.session.commit()
        _people_of(estate)
        estate.suppressions = _suppressed(estate)
        estate.exports = _files(estate)
        estate.webhooks = _webhooks(estate)
    _states(owner, estate)
    return estate


def _suppressed(estate: Estate) -> list[int]:
    """Put numbers on the list of those not sent to, one of which ended, and propose two."""
    terms = Terms(SuppressionReason.WISH, note="12月1日に電話で")
    made = [numbers.add(f"0901234000{place}", terms, actor=f"user:{estate.clerk}").id for place in range(2)]
    numbers.end(made[1], actor=f"user:{estate.clerk}")
    for person in estate.people[:2]:
        proposals.propose(db.session, person.id, SuppressionReason.WRONG_NUMBER)
    db.session.commit()
    return made


def _webhooks(estate: Estate) -> list[int]:
    """Make an endpoint in every state, the first with a delivery of each kind."""
    now, actor = datetime.now(UTC), f"user:{estate.manager}"
    wishes = Wishes("基幹システム", "https://example.co.jp/webhook", list(EVENT_TYPES), in_order=True)
    made = [endpoints.make(wishes, actor=actor).id for _ in range(5)]
    endpoints.renew_secret(made[0], actor=actor)
    for endpoint_id, because in zip(made, ("", "", "asked", "failing", "gone"), strict=True):
        row = db.session.get_one(WebhookEndpoint, endpoint_id)
        row.rests_because, row.rests_since = because, now
        row.failing_since = now if endpoint_id == made[1] else None
    faults = ("", "", "http", "redirect", "gone", "timeout", "refused", "dns", "tls", "address", "skipped", "reset")
    db.session.add_all(
        WebhookDelivery(
            tenant_id=estate.tenant,
            endpoint_id=made[0],
            event_id=place,
            event_type=event_type,
            event_at=now,
            recipient_id=estate.people[0].id,
            due_at=now if place == 1 else None,
            delivered=place == 2,
            tries=place,
            tried_at=now,
            status=200 if place == 2 else None,
            fault=fault,
            took_ms=1200,
        )
        for place, (fault, event_type) in enumerate(zip(faults, EVENT_TYPES, strict=False), 1)
    )
    db.session.commit()
    replay.ping(made[0], actor=actor)
    return made


def _files(estate: Estate) -> list[int]:
    """Make a file in every state, one with characters that its encoding lacks, a layout, a plan for each day."""
    made = [
        Export(
            tenant_id=estate.tenant,
            campaign_id=estate.campaign,
            filename="状況.csv",
            form="cp932",
            selection=Selection(estate.campaign).to_json(),
            created_by=estate.clerk,
            state=state,
            rows_total=10,
            rows_done=5,
            replaced=max(place - 2, 0),
            finished_at=datetime.now(UTC) if state == "done" else None,
        )
        for place, state in enumerate(("queued", "running", "done", "done", "failed", "cancelled", "expired"))
    ]
    db.session.add_all(made)
    db.session.add(ExportLayout(tenant_id=estate.tenant, name="経理", form="xlsx", columns=["reference", "+氏名", "*"]))
    db.session.commit()
    export_jobs.plan_daily(estate.campaign, "cp932", None, user_id=estate.clerk)
    return [row.id for row in made]


def empty(app: Flask, _owner: psycopg.Connection | None = None) -> Estate:
    """Make a company that has nothing but its staff."""
    with app.app_context():
        tenant = factories.tenant("さくら商事")
        return Estate(tenant, factories.user(tenant, "manager"), factories.user(tenant, "clerk"), 0, 0, 0)


def _campaigns(estate: House) -> dict[str, int]:
    made: dict[str, int] = {}
    for kind in ("draft", "checked", *(str(state) for state in CAMPAIGN.words if state != "draft"), "came_back"):
        made[kind] = factories.campaign(
            estate.tenant,
            sms_account_id=estate.sms_account,
            payment_account_id=estate.payment_account,
            name=f"配信その{len(made) + 1}",
            deadline_at=datetime.now(UTC) + timedelta(days=3) if kind == "checked" else None,
        )
        if kind not in {"draft", "came_back"}:
            factories.people(estate.tenant, made[kind], 3)
    with tenancy.tenant(estate.tenant):
        half = Campaign(tenant_id=estate.tenant, key="halfwritten", name="書きかけの配信")
        db.session.add(half)
        db.session.commit()
        made["half"] = half.id
    for kind in ("standing", "another_standing"):
        made[kind] = factories.campaign(
            estate.tenant, sms_account_id=estate.sms_account, name=f"常設その{len(made)}", standing=True, day_limit=100
        )
        factories.people(estate.tenant, made[kind], 3)
    factories.launch(estate.tenant, estate.campaign)
    made["busy"] = estate.campaign
    return made


def _lists(estate: Estate) -> list[tuple[int, int]]:
    found = []
    draft = estate.campaigns["draft"]
    for content, runs in ((LIST, True), (LIST.replace("K", "M"), False)):
        with tenancy.tenant(estate.tenant):
            upload = imports.store(draft, "名簿.csv", io.BytesIO(content.encode("cp932")), user_id=estate.clerk)
            whole_look.look_through(upload)
            if runs:
                mapping = db.session.get_one(Import, upload).mapping or {}
                imports.start(upload, ColumnMapping.from_json(mapping))
        if runs:
            with tenancy.tenant(estate.tenant):
                import_run.run(upload)
        found.append((draft, upload))
    with tenancy.tenant(estate.tenant):
        for state in ("queued", "running", "failed", "cancelled"):
            row = Import(
                tenant_id=estate.tenant, campaign_id=estate.campaigns["came_back"], state=state, filename="名簿2.csv",
                content_digest=b"", byte_count=900, bytes_read=300, rows_read=5,
                problem="ファイルを読み取れません。" if state == "failed" else "",
            )  # fmt: skip
            db.session.add(row)
            db.session.flush()
            found.append((row.campaign_id, row.id))
        db.session.commit()
    return found


def _people_of(estate: Estate) -> None:
    now = datetime.now(UTC) - timedelta(hours=30)
    tenant, campaign = estate.tenant, estate.campaign
    for number, state in enumerate(state for state in SMS.words if state not in {"draft", "queued"}):
        db.session.add(
            SendLog(
                tenant_id=tenant, campaign_id=campaign, recipient_id=estate.people[number].id, attempt=1, fence=1,
                sms_account_id=estate.sms_account, state=str(state), started_at=now, settled_at=now, carrier="ドコモ",
            )
        )  # fmt: skip
    problems = ("", "paid twice", "refund not done", "pending beside another attempt", "mismatch: amount, currency")
    payments: list[Any] = []
    for number, state in enumerate(state for state in PAYMENT.words if state not in {"none", "unpaid"}):
        payments.append(
            Payment(
                tenant_id=tenant, campaign_id=campaign, recipient_id=estate.people[number].id, attempt=1,
                payment_account_id=estate.payment_account, reference=f"K9{number}", state=str(state), method="card",
                amount_yen=12_000, problem=problems[number % len(problems)],
            )
        )  # fmt: skip
    payments.append(
        Payment(
            tenant_id=tenant, campaign_id=campaign, recipient_id=estate.people[-1].id, attempt=1, reference="K801",
            state="paid", method="bank_transfer", amount_yen=12_000,
        )
    )  # fmt: skip
    payments.append(
        Payment(
            tenant_id=tenant, campaign_id=campaign, recipient_id=estate.people[-2].id, attempt=1, state="paid",
            payment_account_id=estate.payment_account, reference="K802", method="konbini", amount_yen=12_000,
        )
    )  # fmt: skip
    differences = [
        PaymentDifference(
            tenant_id=tenant, payment_account_id=estate.payment_account, recipient_id=estate.people[0].id,
            reference="K90", kind=str(kind), day=date(2026, 11, 1), ours_yen=1000, theirs_yen=2000,
        )
        for kind in Kind
    ]  # fmt: skip
    db.session.add_all([*payments, *differences])
    db.session.add(
        Reminder(
            tenant_id=tenant, campaign_id=campaign, number=1, which="unopened", sms_text=factories.SMS_TEXT, people=3,
            created_by=estate.clerk,
        )
    )  # fmt: skip
    db.session.commit()
    estate.payments = [row.id for row in payments]
    estate.differences = list(db.session.scalars(select(PaymentDifference.id)))


def _states(owner: psycopg.Connection, estate: Estate) -> None:
    """Put people and campaigns into their states, and write what happened on the way."""
    at = datetime.now(UTC) - timedelta(hours=30)
    for track in (SMS, PAGE, PAYMENT):
        words = list(track.words)
        for number, person in enumerate(estate.people):
            reached = at + timedelta(minutes=20 * number)
            times = {column: reached for (name, _), column in STEP_TIMES.items() if name == track.name}
            state = str(words[number % len(words)])
            force(owner, "recipient", [person.id], **{f"{track.name}_state": state}, **times)
        for kind in [*words, *(kind for name, kind in _KINDS if name == track.name)]:
            owner.execute(
                "INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor, detail)"
                " VALUES (%s, %s, %s, %s, %s, %s, 'system', %s)",
                [estate.tenant, estate.campaign, estate.people[0].id, track.name, str(kind), at,
                 Jsonb({"attempt": 1, "of": 5})],
            )  # fmt: skip
    owner.execute(
        "UPDATE recipient SET sms_attempt = 1, sms_code = 'unconnected', link_expires_at = now() + interval '1 day'"
        " WHERE campaign_id = %s",
        [estate.campaign],
    )
    # nobody of these used their link: they can be decided about, and sent to again
    came_to = {"delivered", "undelivered", "unknown"}
    sms = list(SMS.words)
    unused = [person.id for number, person in enumerate(estate.people) if sms[number % len(sms)] in came_to]
    never: dict[str, object] = {"opened_at": None, "opened_generation": None, "pay_started_at": None}
    force(owner, "recipient", unused, page_state="unopened", **never)
    # one whose link ended before they used it, and one who said that the SMS isn't for them
    (ended, stranger) = (estate.people[5].id, estate.people[11].id)
    owner.execute("UPDATE recipient SET link_expires_at = now() - interval '1 minute' WHERE id = %s", [ended])
    force(owner, "recipient", [stranger], page_state="revoked")
    owner.execute(
        "INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor, detail)"
        " VALUES (%s, %s, %s, 'page', 'revoked', now(), 'person', %s)",
        [estate.tenant, estate.campaign, stranger, Jsonb({"code": "disowned:wish"})],
    )
    # held, as their number had as many SMS as one may get
    owner.execute(
        "UPDATE recipient SET capped_at = now(), sms_code = %s WHERE campaign_id = %s AND sms_state = 'cancelled'",
        [result_codes.NUMBER_CAMPAIGN, estate.campaign],
    )
    owner.execute("UPDATE send_log SET code = 'unconnected' WHERE campaign_id = %s", [estate.campaign])
    owner.execute(
        """UPDATE event SET detail = detail || '{"code": "account:unauthentication"}' WHERE campaign_id = %s""",
        [estate.campaign],
    )
    later = datetime.now(UTC) + timedelta(days=2)
    for state in CAMPAIGN.words:
        columns: dict[str, object] = {"starts_at": later if state == "scheduled" else None}
        if state in {"sending", "paused", "completed"}:
            columns["launched_at"] = at
        force(owner, "campaign", [estate.campaigns[str(state)]], state=str(state), **columns)
    standing = [estate.campaigns["standing"], estate.campaigns["another_standing"]]
    force(owner, "campaign", standing, state="sending", launched_at=at)
    owner.execute("UPDATE campaign SET checks_stopped_at = now() WHERE id = %s", [estate.campaigns["paused"]])
    # held since a restore, as its account couldn't be asked
    owner.execute("UPDATE campaign SET restore_hold = 'unknown' WHERE id = %s", [estate.campaigns["paused"]])
    for table, account_id in (("sms_account", estate.sms_account), ("payment_account", estate.payment_account)):
        owner.execute(
            f"UPDATE {table} SET restore_hold = 'flapping', restore_since = %s, restore_until = %s WHERE id = %s",  # noqa: S608 - our tables
            [at, at, account_id],
        )
    owner.execute(
        "INSERT INTO event (tenant_id, campaign_id, track, state, at, actor, detail)"
        " VALUES (%s, %s, 'campaign', 'draft', now(), 'system', %s)",
        [estate.tenant, estate.campaigns["came_back"], Jsonb({"reason": "changed"})],
    )
