"""Jobs that look whether the database was set back."""

from app import queues, tenancy
from app.setback import doubt


def look() -> None:
    """Ask the SMS services where it is in doubt; then whoever waits is sent to."""
    queues.begun("jobs.setback.look")
    with tenancy.platform():
        may_send = doubt.may_send()
    if may_send:
        queues.enqueue("jobs.delivery.send", once=True)
