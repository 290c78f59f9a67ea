"""The other measure of `bench-send`: one RQ job for each person, with the product's own claim, request and record.

`python -m bench.per_job` is a worker that runs such jobs; the product's own refuses them.
"""

from datetime import UTC, datetime, timedelta

from app import create_app, queues, tenancy
from app.delivery import claims, leases, send_context
from app.delivery.claims import Result
from app.delivery.leases import SliceLease
from app.providers.curl import perform
from jobs import worker

NAME = "bench.per_job.send_one"


def send_one(*ids: int) -> None:
    """Claim one person of a held slice, send, record: a commit before and one after the request.

    `ids` are the slice's columns, in the order of `SliceLease`, and then the recipient's id.
    """
    *columns, recipient_id = ids
    slice_id, tenant_id, campaign_id, first_id, last_id, fence = columns
    lease = SliceLease(slice_id, tenant_id, campaign_id, first_id, last_id, fence, call_until=leases.clock() + 60)
    with tenancy.tenant(lease.tenant_id):
        route = send_context.route(lease.campaign_id)
        with leases.holding(lease) as connection:
            [claim] = claims.claim(
                connection,
                lease,
                account_id=route.account.id,
                contract_id=route.account.contract_id,
                validity=route.validity,
                after_id=recipient_id - 1,
                limit=1,
            )
        outcome = route.account.provider.outcome(
            perform(send_context.request(route, claim, datetime.now(UTC) + timedelta(hours=1)))
        )
        with leases.holding(lease) as connection:
            claims.record(connection, lease, [Result(claim.recipient_id, claim.attempt, outcome, datetime.now(UTC))])


if __name__ == "__main__":
    queues.JOBS[NAME] = (queues.DELIVERY, 600)
    with create_app().app_context():
        worker.run(queues.DELIVERY)
