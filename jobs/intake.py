"""Jobs of intake: read uploaded lists and put their rows in."""

from contextlib import suppress

from app import tenancy
from app.intake.lists import first_look, import_run, whole_look
from app.intake.rows import replacing
from app.problems import Refused
from app.tenancy import time_limits


def run_import(tenant_id: int, import_id: int) -> None:
    """Check an uploaded list and add its rows."""
    with tenancy.tenant(tenant_id), time_limits.limited_to(time_limits.BULK):
        import_run.run(import_id)


def look_through(tenant_id: int, import_id: int) -> None:
    """Look through a whole upload; one of a known form of which nothing is to be told starts."""
    with tenancy.tenant(tenant_id), time_limits.limited_to(time_limits.BULK):
        whole_look.look_through(import_id)
        first_look.start_if_known(import_id)


def replace_rows(tenant_id: int, import_id: int, user_id: int, by_number: int) -> None:
    """Put a list's rows in the place of earlier ones; of a campaign that has left by now nothing changes."""
    by = replacing.By.NUMBER if by_number else replacing.By.REFERENCE
    with tenancy.tenant(tenant_id), time_limits.limited_to(time_limits.BULK), suppress(Refused):
        replacing.replace(import_id, by, user_id=user_id)
