"""Jobs that look whether the database was set back."""

from app import queues, tenancy
from app.setback import doubt


def look() -> None:
    """Ask the SMS services where it is in doubt; then whoever waits is sent to."""
    queues.begun("jobs.setback.look")
    with tenancy.platform():
        clear = doubt.clear()
    if clear:
        queues.enqueue("jobs.delivery.send", once=True)
