"""Jobs that look whether the database was set back."""

from app import queues, tenancy
from app.config import settings
from app.restore import new_accounts
from app.setback import doubt


def look() -> None:
    """Ask the SMS services where it is in doubt; then whoever waits is sent to."""
    queues.begun("jobs.setback.look")
    with tenancy.platform():
        clear = doubt.clear()
    if clear:
        queues.enqueue("jobs.delivery.send", once=True)


def ask_account(account_id: int) -> None:
    """Ask an SMS account that was registered after a restore what left by it before."""
    queues.begun("jobs.setback.ask_account", account_id)
    new_accounts.ask(account_id, gap_s=settings().absence_gap_s)
