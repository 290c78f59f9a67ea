"""The flask commands: workers, the scheduler, the first operator, the audit chains, demo data."""

import dataclasses
import importlib
import json
from datetime import UTC, datetime
from typing import BinaryIO

import click
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, ProgrammingError

from app import audit, config, demo, queues, tenancy
from app.auth import passwords
from app.extensions import db
from app.intake.lists import suppression_file
from app.intake.reading.list_rows import Limits
from app.models import Tenant, User
from app.problems import Refused, messages_ja
from app.reports import totals_upkeep
from app.restore import after
from app.setback import doubt
from app.suppression.numbers import Terms, read_reason
from app.tenancy import time_limits
from app.web import health

# a company's whole list comes in by the command
_SUPPRESSIONS = Limits(rows=5_000_000)


def register(app: Flask) -> None:
    """Add the commands to `flask --app wsgi …`."""
    app.cli.add_command(worker)
    app.cli.add_command(scheduler)
    app.cli.add_command(create_operator)
    app.cli.add_command(verify_audit)
    app.cli.add_command(describe_settings)
    app.cli.add_command(seed_demo)
    app.cli.add_command(ready)
    app.cli.add_command(recount_totals)
    app.cli.add_command(after_restore)
    app.cli.add_command(import_suppressions)


@click.command()
@click.argument("queue", type=click.Choice(queues.NAMES))
def worker(queue: str) -> None:
    """Run one worker on one queue: only then does RQ take a job without a moment in which a crash loses it."""
    module = importlib.import_module("jobs.worker")
    module.yield_processor(queue)
    module.run(queue)


@click.command()
def scheduler() -> None:
    """Put the recurring jobs on their queues; a second one waits until the first is gone."""
    importlib.import_module("jobs.scheduler").run()


@click.command("create-operator")
@click.argument("email")
@click.option("--name", default="運営担当者", help="as screens show it")
@click.password_option()
@with_appcontext
def create_operator(email: str, name: str, password: str) -> None:
    """Make an operator of the platform: the first one of an installation."""
    if found := passwords.problems(password, email, name):
        raise click.ClickException("\n".join(messages_ja(found)))
    with tenancy.platform():
        made = User(role="operator", email=email, name=name, password_hash=passwords.hash_password(password))
        db.session.add(made)
        try:
            db.session.flush()
        except IntegrityError:
            raise click.ClickException("an operator with this address exists") from None
        audit.record(db.session, actor="system", act="user.create", target=f"user:{made.id}")
        db.session.commit()


@click.command("verify-audit")
@with_appcontext
def verify_audit() -> None:
    """Walk every audit chain; name the first entry of each that was changed behind its back."""
    with tenancy.platform():
        owners = [None, *db.session.scalars(select(Tenant.id).order_by(Tenant.id))]
        broken = {owner: audit.verify(db.session, owner) for owner in owners}
    for owner, entry in broken.items():
        whose = "the platform" if owner is None else f"tenant {owner}"
        click.echo(f"{whose}: {'intact' if entry is None else f'entry {entry} does not fit'}")
    if any(entry is not None for entry in broken.values()):
        raise SystemExit(1)


@click.command("settings")
def describe_settings() -> None:
    """Print every setting as JSON: name, default, what it is."""
    rows = [{"name": name, "default": default, "what": doc} for name, default, doc in config.Settings.describe()]
    click.echo(json.dumps(rows, ensure_ascii=False, indent=1))


@click.command("after-restore")
@click.option("--since", type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="the backup's time, UTC, if it is older")
@click.option("--take-over", default="", help="the installation that OUTSIDE_DIR knows, where this is it, set back")
@click.option("--nothing-left", is_flag=True, help="the services' own screens show nothing since the backup either")
@with_appcontext
def after_restore(since: datetime | None, take_over: str, nothing_left: bool) -> None:  # noqa: FBT001 - click's way
    """Ask the providers what left since the database's last sign of life, write it down, and let sending go on."""
    try:
        done = after.restore(
            take_over=take_over,
            since=since.replace(tzinfo=UTC) if since else None,
            nothing_left=nothing_left,
            say=lambda words: click.echo(words, err=True),
        )
    except after.NotLifted as fault:
        raise click.ClickException(str(fault)) from None
    except ProgrammingError as fault:
        raise click.ClickException(_without_tables(fault)) from None
    click.echo(json.dumps(dataclasses.asdict(done), ensure_ascii=False))
    for words in after.next_steps(done):
        click.echo(words, err=True)


@click.command()
@with_appcontext
def ready() -> None:
    """Return whether workers would send: exit code 1, and why, while everything is held. For a supervisor's probe."""
    try:
        with tenancy.platform():
            why = doubt.why_not_ready()
    except ProgrammingError as fault:
        raise click.ClickException(_without_tables(fault)) from None
    if why:
        raise click.ClickException(why)
    click.echo("ready")


def _without_tables(fault: ProgrammingError) -> str:
    """Return what to do about a database without our tables. Raises any other fault."""
    if not health.lacks_tables(fault):
        raise fault
    return health.NO_TABLES


@click.command("recount-totals")
@click.option("--campaign", type=int, help="one campaign's number; without it all are counted")
@with_appcontext
def recount_totals(campaign: int | None) -> None:
    """Count people, attempts and payments, and put right the totals that differ; exit code 1 where any did."""
    with tenancy.platform(), time_limits.limited_to(time_limits.BULK):
        campaigns = totals_upkeep.all_campaigns()
        if campaign is not None and campaign not in campaigns:
            raise click.ClickException(f"there is no campaign {campaign}")
        chosen = campaigns if campaign is None else [campaign]
        differed = {one: keys for one in chosen if (keys := totals_upkeep.recount(one))}
    for one, keys in differed.items():
        click.echo(f"campaign {one}: {keys} totals put right")
    click.echo(f"{len(chosen)} campaigns counted, {len(differed)} put right")
    if differed:
        raise SystemExit(1)


@click.command("seed-demo")
@click.option("--standby", is_flag=True, help="give each company a second SMS contract that takes over")
@with_appcontext
def seed_demo(*, standby: bool) -> None:
    """Put the demo's companies in where they are missing; print accounts and the sandbox's settings as JSON."""
    if config.settings().env != "demo":
        raise click.ClickException("seed-demo is for a demo: set TODOKE_ENV=demo")
    click.echo(json.dumps(demo.seed(standby=standby), ensure_ascii=False))


@click.command("import-suppressions")
@click.argument("code")
@click.argument("file", type=click.File("rb"))
@click.option("--reason", default="other", help="for rows without one")
@with_appcontext
def import_suppressions(code: str, file: BinaryIO, reason: str) -> None:
    """Put a long FILE of numbers on the list of those that the company with this CODE sends nothing to.

    Each row that is not taken is printed with its number and why; the exit code is 1 where there is any.
    """
    with tenancy.platform():
        tenant_id = db.session.scalar(select(Tenant.id).where(Tenant.code == code))
    if tenant_id is None:
        raise click.ClickException(f"there is no company {code}")
    try:
        with tenancy.tenant(tenant_id), time_limits.limited_to(time_limits.BULK):
            terms = Terms(read_reason(reason))
            taken = suppression_file.take(file, terms, actor="system", limits=_SUPPRESSIONS)
    except Refused as refused:
        raise click.ClickException(refused.message_ja) from None
    for row in taken.bad:
        click.echo(f"{row.sheet_row}\t{row.column}\t{row.problem}")
    click.echo(f"{taken.rows} rows: {taken.added} added, {taken.known} known, {len(taken.bad)} not taken")
    if taken.bad:
        raise SystemExit(1)
