"""A company reads of a shared account what sending needs and no more; it gives itself no part and changes none."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app import tenancy
from app.accounts import Unusable, credentials_of, for_sms, shared
from app.extensions import db
from app.models import SharedSmsAccount, SmsAccount
from tests import factories
from tests.sharing import Share, settings_of


def test_a_companys_scope_reads_nothing_of_the_contract(share: Share) -> None:
    account = factories.shared_account()
    mine, theirs = share(account, 2), share(account, 2)
    mine.send()
    ids = set(settings_of(account).values())
    with tenancy.tenant(mine.tenant_id), tenancy.transaction() as connection:
        assert connection.execute(text("SELECT * FROM shared_sms_account")).all() == []
        assert connection.scalars(text("SELECT id FROM sms_account")).all() == [mine.account_id]
        row = connection.execute(text("SELECT * FROM sms_account")).mappings().one()
        assert (row["settings"], row["credentials_sealed"], row["receipt_secret"]) == ({}, None, None)
        for table in ("sms_contract", "sms_account", "send_log", "campaign", "audit_entry"):
            told = str(connection.execute(text(f"SELECT * FROM {table}")).all())  # noqa: S608 - our tables
            assert not [one for one in ids if len(one) > 1 and one in told], table
            assert "運営の契約" not in told, table
    assert theirs.states() == {"queued": 2}


def test_the_contract_is_opened_in_memory_alone(share: Share) -> None:
    account = factories.shared_account()
    job = share(account, 1)
    with tenancy.tenant(job.tenant_id):
        row = db.session.get_one(SmsAccount, job.account_id)
        found = shared.read(account)
        assert found is not None
        assert for_sms(row).settings == found.settings
        assert credentials_of(row) == {"token": "karaden-token"}
        held = [one for one in db.session if isinstance(one, SharedSmsAccount)]
        assert held == []


def test_a_shared_account_without_credentials_sends_nothing(share: Share) -> None:
    account = factories.shared_account()
    job = share(account, 1)
    job.change("UPDATE shared_sms_account SET credentials_sealed = NULL WHERE id = %s", account)
    with tenancy.tenant(job.tenant_id), pytest.raises(Unusable):
        for_sms(db.session.get_one(SmsAccount, job.account_id))
    job.send()
    assert job.states() == {"queued": 1}


@pytest.mark.parametrize(
    "change",
    [
        "name = 'x'",
        "rate_per_s = 1000",
        "price_yen = 1",
        "active = NOT active",
        "test_mode = true",
        "provider = 'twilio'",
        "shared_account_id = NULL",
    ],
)
def test_a_company_changes_nothing_that_is_the_operators(share: Share, change: str) -> None:
    job = share(factories.shared_account(), 1)
    statement = text(f"UPDATE sms_account SET {change} WHERE id = :id")  # noqa: S608 - ours
    with tenancy.tenant(job.tenant_id), pytest.raises(DBAPIError, match="the operator's"):
        db.session.execute(statement, {"id": job.account_id})


def test_a_company_chooses_its_order(share: Share) -> None:
    job = share(factories.shared_account(), 1)
    with tenancy.tenant(job.tenant_id):
        changed = db.session.execute(text("UPDATE sms_account SET takeover_order = 2"))
        assert changed.rowcount == 1  # type: ignore[attr-defined]
        db.session.rollback()


def test_a_company_gives_itself_no_part(share: Share) -> None:
    account = factories.shared_account()
    share(account, 1)
    stranger = factories.tenant()
    own = factories.sms_account(stranger)
    values = {"tenant": stranger, "shared": account, "id": own}
    made = """
        INSERT INTO sms_account (tenant_id, name, provider, rate_per_s, shared_account_id)
        VALUES (:tenant, 'x', 'karaden', 10, :shared)
    """
    bent = """
        UPDATE sms_account SET shared_account_id = :shared, settings = '{}', credentials_sealed = NULL,
            receipt_secret = NULL, rate_per_s = 10 WHERE id = :id
    """
    for statement in (made, bent):
        with tenancy.tenant(stranger), pytest.raises(DBAPIError, match="the operator's"):
            db.session.execute(text(statement), values)


def test_a_part_holds_no_settings_whoever_writes_it(share: Share) -> None:
    job = share(factories.shared_account(), 1)
    for change in ('settings = \'{"service_id": "1"}\'', "credentials_sealed = 'x'", "rate_per_s = NULL"):
        with tenancy.platform(), pytest.raises(DBAPIError, match="ck_sms_account_shared"):
            db.session.execute(text(f"UPDATE sms_account SET {change} WHERE id = {job.account_id}"))  # noqa: S608


def test_what_is_copied_is_what_a_new_part_is_given(share: Share) -> None:
    job = share(factories.shared_account(), 1)
    source = job.rows("SELECT prosrc FROM pg_proc WHERE proname = 'share_breaker' AND %s > 0")[0]["prosrc"]
    assert [line for line in shared.KNOWN if f"{line} = NEW.{line}" not in source] == []
    assert source.count(" = NEW.") == len(shared.KNOWN) + 1, "those, and the account's id"
