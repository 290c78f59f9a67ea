"""People who are to pay, at each payment provider: `python -m bench.payment_dataset CSV` in a stack's environment.

One campaign for each provider, of the list's people, whose SMS have arrived and whose links live; no questions are
asked. Prints `{"accounts": {provider: {id, key, secret}}, "people": [{id, provider, token}, …]}` as its last line.
"""

import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from app import create_app, tenancy
from app.accounts import credentials_of, seal_credentials
from app.extensions import db, vault
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import import_run, imports, whole_look
from app.models import Import, PaymentAccount, Tenant
from app.providers.payments import PROVIDERS
from app.states.transitions import move_all
from app.states.vocabulary import SmsState
from bench.lists import draft

_SETTINGS = {
    "stripe": {"methods": "card,konbini"},
    "payjp": {"methods": "card"},
    "komoju": {"methods": "credit_card,konbini"},
    "paypay": {"merchant_id": "merchant-1"},
}
# the first is what a provider knows an account by, the second what its webhooks are told by
_CREDENTIALS = {
    "stripe": ("secret_key", "webhook_secret"),
    "payjp": ("secret_key", "webhook_token"),
    "komoju": ("secret_key", "webhook_secret"),
    "paypay": ("api_key", "api_secret"),
}


def main(path: Path) -> None:
    """Make the campaigns, and tell of their people."""
    accounts: dict[str, dict[str, Any]] = {}
    people: list[dict[str, Any]] = []
    with create_app().app_context():
        with tenancy.platform():
            tenant_id = db.session.scalars(select(Tenant.id).order_by(Tenant.id)).first()
        assert tenant_id is not None  # noqa: S101 - seeded before
        with tenancy.tenant(tenant_id):
            for provider in PROVIDERS:
                account = _account(tenant_id, provider)
                key, secret = (credentials_of(account)[name] for name in _CREDENTIALS[provider])
                accounts[provider] = {"id": account.id, "key": key, "secret": secret}
                for recipient_id, drawn in _people(tenant_id, account, path):
                    token = vault.link_token(recipient_id, 1, drawn)
                    people.append({"id": recipient_id, "provider": provider, "token": token})
    print(json.dumps({"accounts": accounts, "people": people}))


def _account(tenant_id: int, provider: str) -> PaymentAccount:
    name = f"{provider} (drill)"
    row = db.session.scalar(select(PaymentAccount).where(PaymentAccount.name == name))
    if row is None:
        row = PaymentAccount(
            tenant_id=tenant_id, name=name, provider=provider, settings=_SETTINGS[provider], test_mode=True
        )
        db.session.add(row)
        db.session.flush()
        values = (f"sk_test_{uuid.uuid4().hex}", f"whsec_{uuid.uuid4().hex}")
        seal_credentials(row, dict(zip(_CREDENTIALS[provider], values, strict=True)))
        db.session.commit()
    return row


def _people(tenant_id: int, account: PaymentAccount, path: Path) -> list[tuple[int, bytes]]:
    campaign = draft(tenant_id, account.name)
    campaign.payment_account = account
    campaign.questions = []
    db.session.commit()
    campaign_id = campaign.id
    assert campaign.created_by is not None  # noqa: S101 - `draft` sets it
    with path.open("rb") as stream:
        import_id = imports.store(campaign_id, path.name, stream, user_id=campaign.created_by)
    whole_look.wait_for(import_id)
    imports.start(import_id, ColumnMapping.from_json(db.session.get_one(Import, import_id).mapping or {}))
    import_run.run(import_id)
    now = datetime.now(UTC)
    with tenancy.transaction() as connection:
        # as if the SMS had arrived: what is measured here begins with the tap on its link
        move_all(connection, SmsState.QUEUED, campaign_id=campaign_id, sources=[SmsState.DRAFT], at=now, actor="system")
        found = connection.execute(
            text("""
                UPDATE recipient SET sms_state = 'delivered', link_expires_at = :until WHERE campaign_id = :campaign_id
                RETURNING id, link_secret
            """),
            {"campaign_id": campaign_id, "until": now + timedelta(days=1)},
        ).all()
    return sorted((row.id, row.link_secret) for row in found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
