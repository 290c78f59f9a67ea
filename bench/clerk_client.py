"""Act as a clerk beside a bench, in a process of its own: `python -m bench.clerk_client ACT …`.

The acts: draft -; contract -, which tells where the receipts of the contract in use go; prepare or upload LIST; launch,
lease, pause, resume, cancel or export CAMPAIGN; second RATE, which lets another contract take over in drafts made from
then on, until alone -. BENCH_SERVICE names the service in use where it isn't that of the company's first contract,
BENCH_COMPANY whose clerk acts, in the order in which companies were seeded, from 0.
"""

import secrets
import sys
import uuid
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy import select

from app import create_app, queues, tenancy
from app.accounts import credentials_of, receipt_url, seal_credentials, seal_witness_phone
from app.campaigns import bulk_operations, lifecycle, preflight, preflight_result
from app.delivery import leases
from app.demo import WITNESS_PHONE
from app.exports import export_jobs
from app.exports.selection import Selection
from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import imports, whole_look
from app.models import Campaign, Import, Recipient, SmsAccount
from app.outcomes import manual_review
from app.problems import messages_ja
from bench.imports import import_list
from bench.lists import accounts, company, draft


def prepare(path: Path) -> int:
    """Take a list in and check every row; return the campaign."""
    campaign_id = int(import_list(path)["campaign_id"])
    with create_app().app_context(), _scope():
        found = preflight.run(campaign_id)
        if found.problems:
            raise RuntimeError("; ".join(messages_ja(found.problems)))
    return campaign_id


def launch(campaign_id: int) -> None:
    """Launch a campaign."""
    with create_app().app_context(), _scope():
        _launch(campaign_id)


def lease(campaign_id: int) -> tuple[int, ...]:
    """Launch a campaign and lease its one slice for as long as a bench may take.

    Returns the lease's numbers.
    """
    with create_app().app_context():
        with _scope():
            _launch(campaign_id)
        with tenancy.platform():
            lease = leases.take_next()
            assert lease is not None  # noqa: S101 - launched above
    return (lease.slice_id, lease.tenant_id, lease.campaign_id, lease.first_id, lease.last_id, lease.fence)


def turn(act: str, campaign_id: int) -> None:
    """Pause a campaign, go on with it, or cancel it."""
    with create_app().app_context(), _scope():
        campaign = db.session.get_one(Campaign, campaign_id)
        assert campaign.created_by is not None  # noqa: S101 - `draft` sets it
        if not getattr(lifecycle, act)(campaign_id, user_id=campaign.created_by):
            raise RuntimeError(f"{act} could not be done")


def held_people(campaign_id: int) -> list[int]:
    """Return the people of a campaign about whom a manager has to decide."""
    with create_app().app_context(), _scope():
        people = db.session.scalars(
            select(Recipient).where(Recipient.campaign_id == campaign_id, Recipient.sms_state == "unknown")
        )
        return [person.id for person in people if manual_review.is_held(person)]


def witness(phone: str | None) -> None:
    """Register a 確認用番号 with every account of the company, or take it out."""
    with create_app().app_context(), _scope():
        for account in db.session.scalars(select(SmsAccount)):
            seal_witness_phone(account, phone)
        db.session.commit()


def renew() -> None:
    """Renew the token of every account of the company."""
    with create_app().app_context(), _scope():
        for account in db.session.scalars(select(SmsAccount)):
            seal_credentials(account, {"token": secrets.token_hex(16)})
        db.session.commit()


def second(rate: int) -> tuple[str, str]:
    """Let a second contract take over for the company's first, both at a rate; give both ids at the service."""
    with create_app().app_context():
        tenant_id = company()
        with tenancy.tenant(tenant_id):
            own, *more = db.session.scalars(select(SmsAccount).order_by(SmsAccount.id)).all()
            if not (others := [one for one in more if one.provider == own.provider]):
                settings = {**own.settings, "tenant_id": str(uuid.uuid4())}
                name = "もう一つの契約"
                others = [SmsAccount(tenant_id=tenant_id, name=name, provider=own.provider, settings=settings)]
                db.session.add(others[0])
                db.session.flush()
                seal_credentials(others[0], credentials_of(own))
            others[0].takeover_order = 1
            own.rate_per_s = others[0].rate_per_s = rate
            db.session.commit()
            return str(own.settings["tenant_id"]), str(others[0].settings["tenant_id"])


def alone() -> None:
    """Leave the company to its first contract, at any rate."""
    with create_app().app_context(), _scope():
        for account in db.session.scalars(select(SmsAccount)):
            account.takeover_order = account.rate_per_s = None
        db.session.commit()


def contract() -> str:
    """Have a contract of the company with BENCH_SERVICE; return where its receipts go."""
    with create_app().app_context():
        tenant_id = company()
        with tenancy.tenant(tenant_id):
            own, *_ = accounts(tenant_id)
            db.session.commit()
            return receipt_url(own)


def begin() -> int:
    """Make a draft; return the campaign."""
    with create_app().app_context():
        tenant_id = company()
        with tenancy.tenant(tenant_id):
            return draft(tenant_id, "もう一つのベンチ").id


def upload(path: Path) -> int:
    """Upload a list and have a worker take it in; return the import."""
    with create_app().app_context():
        tenant_id = company()
        with tenancy.tenant(tenant_id):
            campaign = draft(tenant_id, "もう一つのベンチ")
            assert campaign.created_by is not None  # noqa: S101 - `draft` sets it
            with path.open("rb") as stream:
                import_id = imports.store(campaign.id, path.name, stream, user_id=campaign.created_by)
            whole_look.wait_for(import_id)
            row = db.session.get_one(Import, import_id)
            imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
    queues.enqueue("jobs.intake.run_import", tenant_id, import_id)
    return import_id


def export(campaign_id: int) -> list[int]:
    """Order two files of a campaign, a table and a workbook; return their ids."""
    with create_app().app_context(), _scope():
        user_id = db.session.get_one(Campaign, campaign_id).created_by
        assert user_id is not None  # noqa: S101 - `draft` sets it
        return [
            export_jobs.order(Selection(campaign_id), form, None, f"状況.{ending}", user_id=user_id)
            for form, ending in (("cp932", "csv"), ("xlsx", "xlsx"))
        ]


def _launch(campaign_id: int) -> None:
    campaign = db.session.get_one(Campaign, campaign_id)
    assert campaign.created_by is not None  # noqa: S101 - `draft` sets it
    lifecycle.launch(campaign_id, user_id=campaign.created_by, digest=preflight_result.digest(campaign))
    bulk_operations.run(campaign_id)  # no worker of the tracking queue runs beside a bench


def _scope() -> AbstractContextManager[object]:
    return tenancy.tenant(company())


if __name__ == "__main__":
    act, argument = sys.argv[1:]
    if act == "prepare":
        print(prepare(Path(argument)))
    elif act == "launch":
        launch(int(argument))
        print("launched")
    elif act in {"pause", "resume", "cancel"}:
        turn(act, int(argument))
        print(act)
    elif act == "held":
        print("held", *held_people(int(argument)))
    elif act == "second":
        print("second", *second(int(argument)))
    elif act == "alone":
        alone()
        print(act)
    elif act == "witness":
        witness(WITNESS_PHONE if argument == "on" else None)
        print("done")
    elif act == "renew":
        renew()
        print("done")
    elif act == "contract":
        print(contract())
    elif act == "draft":
        print(begin())
    elif act == "upload":
        print(upload(Path(argument)))
    elif act == "export":
        print(*export(int(argument)))
    else:
        print(*lease(int(argument)))
