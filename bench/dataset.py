"""A company with lists of any length in its back office, made in minutes: by COPY and INSERT … SELECT.

In: a prepared stack. Out: rows as the product would have written them after sending: sealed numbers with their blind
indexes, attempts, events, payments, an audit log (without its chain), campaigns.
"""

import random
from collections.abc import Iterator, Mapping

import psycopg

from app.campaigns.rendering import fields_place, phone_place
from app.config import Settings
from app.vault import Vault
from dev.servers import plain_url

_PER_CAMPAIGN = 50_000
_PER_SLICE = 5_000

# every state in some share: p counts the people from 1
_RECIPIENTS = f"""
    INSERT INTO recipient (id, tenant_id, campaign_id, identity_key, row_digest, reference, phone_sealed, phone_index,
        phone_last4_index, fields_sealed, token_digest, amount_yen, due_date, link_expires_at, sms_attempt, carrier,
        sms_state, page_state, payment_state, queued_at, sent_at, accepted_at, delivered_at, undelivered_at, unknown_at,
        opened_at, verified_at, viewed_at, locked_at, pay_started_at, paid_at)
    OVERRIDING SYSTEM VALUE
    SELECT one.id, c.tenant_id, c.id, substr(digest, 1, 16), substr(digest, 17, 16), reference, phone_sealed,
        phone_index, last4_index, fields_sealed, digest, 10000 + p % 90000, DATE '2026-12-25',
        at + interval '30 days', 1,
        (ARRAY['docomo', 'au', 'softbank', 'rakuten'])[1 + p % 4],
        CASE WHEN p % 20 = 3 THEN 'undelivered' WHEN p > total - {_PER_SLICE} AND p % 50 = 7 THEN 'unknown'
            WHEN p % 10 = 1 THEN 'accepted' ELSE 'delivered' END,
        CASE WHEN p % 5 = 2 THEN 'viewed' WHEN p % 10 = 4 THEN 'opened' WHEN p % 100 = 6 THEN 'locked'
            ELSE 'unopened' END,
        CASE WHEN p % 10 = 2 THEN 'paid' WHEN p % 50 = 7 THEN 'started' ELSE 'unpaid' END,
        at, at, at, at, CASE WHEN p % 20 = 3 THEN at END,
        CASE WHEN p > total - {_PER_SLICE} AND p % 50 = 7 THEN at END, CASE WHEN p % 5 = 2 OR p % 10 = 4 THEN at END,
        CASE WHEN p % 5 = 2 THEN at END, CASE WHEN p % 5 = 2 THEN at END, CASE WHEN p % 100 = 6 THEN at END,
        CASE WHEN p % 10 = 2 OR p % 50 = 7 THEN at END, CASE WHEN p % 10 = 2 THEN at END
    FROM (
        SELECT *, id - first + 1 AS p, sha256(id::text::bytea) AS digest,
            now() - (total - (id - first)) * interval '30 days' / total AS at
        FROM made, (SELECT min(id) AS first, count(*) AS total FROM made) ends
    ) one
    JOIN crowd_campaign c ON c.part = (p - 1) / {_PER_CAMPAIGN}
    ORDER BY one.id
"""  # noqa: S608 - the numbers stand above
_REST = (
    f"""
    INSERT INTO slice (tenant_id, campaign_id, first_id, last_id, check_at)
    SELECT tenant_id, campaign_id, min(id), max(id), CASE WHEN bool_or(sms_state = 'unknown') THEN now() END
    FROM recipient WHERE id IN (SELECT id FROM made) GROUP BY tenant_id, campaign_id, id / {_PER_SLICE}
    """,  # noqa: S608 - the number stands above
    """
    INSERT INTO send_log (tenant_id, campaign_id, recipient_id, sms_account_id, attempt, fence, state, code, carrier,
        units, started_at, answered_at, settled_at)
    SELECT r.tenant_id, r.campaign_id, r.id, a.id, 1, 1, r.sms_state, '', r.carrier, 1, r.sent_at, r.sent_at, r.sent_at
    FROM recipient r JOIN made m USING (id)
    JOIN (SELECT tenant_id, min(id) AS id FROM sms_account GROUP BY tenant_id) a USING (tenant_id) ORDER BY r.id
    """,
    """
    INSERT INTO event (tenant_id, campaign_id, recipient_id, track, state, at, actor)
    SELECT r.tenant_id, r.campaign_id, r.id, 'sms', s.state, r.sent_at, 'system'
    FROM recipient r JOIN made m USING (id), unnest(ARRAY['queued', 'sending', 'accepted']) WITH ORDINALITY s(state, n)
    ORDER BY s.n, r.id
    """,
    """
    INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference, provider_id,
        state, amount_yen, method, problem, created_at, paid_at)
    SELECT r.tenant_id, r.campaign_id, r.id, a.id, 1, 'P' || r.id, 'cs_' || r.id,
        CASE WHEN r.payment_state = 'unpaid' THEN 'expired' ELSE r.payment_state END, r.amount_yen, 'card',
        CASE WHEN r.id % 1000 = 0 THEN 'paid twice' ELSE '' END, r.sent_at, r.paid_at
    FROM recipient r JOIN made m USING (id)
    JOIN (SELECT tenant_id, min(id) AS id FROM payment_account GROUP BY tenant_id) a USING (tenant_id) ORDER BY r.id
    """,
    """
    INSERT INTO audit_entry (tenant_id, at, actor, act, target, hash)
    SELECT r.tenant_id, r.sent_at, 'user:' || u.id,
        (ARRAY['sign_in', 'export_status', 'reveal_phone', 'unlock'])[1 + r.id % 4], 'recipient:' || r.id, ''
    FROM recipient r JOIN made m USING (id)
    JOIN (SELECT tenant_id, min(id) AS id FROM app_user GROUP BY tenant_id) u USING (tenant_id) ORDER BY r.id
    """,
    """
    INSERT INTO campaign (tenant_id, key, name, state, created_at)
    SELECT r.tenant_id, 'crowd-' || r.id, to_char(r.sent_at, 'YYYY年MM月') || 'の案内 ' || r.id, 'draft', r.sent_at
    FROM recipient r JOIN made m USING (id) ORDER BY r.id
    """,
)


def fill(env: Mapping[str, str], tenant_code: str, rows: int) -> None:
    """Make a company `rows` people, attempts, payments, audit entries and drafts, in campaigns of 50,000."""
    settings = Settings.from_env(env)
    vault = Vault()
    vault.load(settings.field_keys, settings.digest_key, settings.link_token_chars)
    with psycopg.connect(plain_url(env["DATABASE_OWNER_URL"]), autocommit=True) as owner:
        owner.execute("SET synchronous_commit = off")
        owner.execute("SELECT set_config('app.platform', 'on', false)")
        tenant_id = _number(owner, "SELECT id FROM tenant WHERE code = %s", tenant_code)
        owner.execute("CREATE TEMP TABLE crowd_campaign (id bigint, tenant_id bigint, part bigint)")
        owner.execute(
            """
            WITH made AS (
                INSERT INTO campaign (tenant_id, key, name, state, payment_required, launched_at, preflight, sms_text)
                SELECT %s, 'crowd' || n, '送信済みの配信 ' || n, 'completed', true, now(), '{"people": 50000}', ''
                FROM generate_series(0, %s) n RETURNING id, tenant_id
            ) INSERT INTO crowd_campaign SELECT id, tenant_id, row_number() OVER (ORDER BY id) - 1 FROM made
            """,
            [tenant_id, (rows - 1) // _PER_CAMPAIGN],
        )
        owner.execute("""
            CREATE TEMP TABLE made (id bigint, reference text, phone_sealed bytea, phone_index bytea, last4_index bytea,
                fields_sealed bytea)
        """)
        first = _number(owner, "SELECT nextval(pg_get_serial_sequence('recipient', 'id'))")
        with owner.cursor().copy("COPY made FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "text", "bytea", "bytea", "bytea", "bytea"])
            for row in _people(vault, tenant_id, first, rows):
                copy.write_row(row)
        owner.execute("SELECT setval(pg_get_serial_sequence('recipient', 'id'), %s)", [first + rows])
        owner.execute("ANALYZE made")
        for statement in (_RECIPIENTS, *_REST):
            owner.execute(statement)
        owner.execute("VACUUM ANALYZE")


def phone(number: int) -> str:
    """Return the number of the n-th person, in E.164: spread as numbers are, the same each time."""
    return f"+81{random.Random(number).choice('789')}0{1_000_0000 + number * 7_919 % 90_000_000:08d}"


def reference(number: int) -> str:
    """Return the reference of the n-th person."""
    return f"K{number:07d}"


def _people(vault: Vault, tenant_id: int, first: int, rows: int) -> Iterator[tuple[object, ...]]:
    for number in range(rows):
        row_id, e164 = first + number, phone(number)
        yield (
            row_id,
            reference(number),
            vault.seal(e164, phone_place(tenant_id, row_id)),
            vault.phone_index(tenant_id, e164),
            vault.last4_index(tenant_id, e164),
            vault.seal('{"氏名": "佐藤 花子", "住所": "東京都千代田区丸の内1-1"}', fields_place(tenant_id, row_id)),
        )


def _number(owner: psycopg.Connection[tuple[int]], statement: str, *values: object) -> int:
    row = owner.execute(statement, values).fetchone()
    assert row is not None  # noqa: S101 - seeded before
    return row[0]
