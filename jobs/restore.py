"""Jobs after a restore."""

from app import queues
from app.config import settings
from app.restore import new_accounts


def ask_account(account_id: int) -> None:
    """Ask an SMS account that was registered after a restore what left by it before."""
    queues.begun("jobs.restore.ask_account", account_id)
    new_accounts.ask(account_id, gap_s=settings().absence_gap_s)
