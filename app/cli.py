"""The flask commands: workers, the scheduler, secrets, demo data."""

import importlib
import json

import click
from flask import Flask
from flask.cli import with_appcontext

from app import config, demo, queues


def register(app: Flask) -> None:
    """Add the commands to `flask --app wsgi …`."""
    app.cli.add_command(worker)
    app.cli.add_command(scheduler)
    app.cli.add_command(new_secrets)
    app.cli.add_command(describe_settings)
    app.cli.add_command(seed_demo)


@click.command()
@click.argument("queue", type=click.Choice(queues.NAMES))
def worker(queue: str) -> None:
    """Run one worker on one queue: only then does RQ take a job without a moment in which a crash loses it."""
    importlib.import_module("jobs.worker").run(queue)


@click.command()
def scheduler() -> None:
    """Put the recurring jobs on their queues; a second one waits until the first is gone."""
    importlib.import_module("jobs.scheduler").run()


@click.command("new-secrets")
@click.option("--demo", is_flag=True, help="marked, so that production refuses them")
def new_secrets(*, demo: bool) -> None:
    """Print fresh SECRET_KEY, FIELD_KEYS and DIGEST_KEY as lines for an environment file."""
    for name, value in config.new_secrets(demo=demo).items():
        click.echo(f"{name}={value}")


@click.command("settings")
def describe_settings() -> None:
    """Print every setting as JSON: name, default, what it is."""
    rows = [{"name": name, "default": default, "what": doc} for name, default, doc in config.Settings.describe()]
    click.echo(json.dumps(rows, ensure_ascii=False, indent=1))


@click.command("seed-demo")
@with_appcontext
def seed_demo() -> None:
    """Put the demo's companies in where they are missing; print accounts and the sandbox's settings as JSON."""
    if config.settings().env != "demo":
        raise click.ClickException("seed-demo is for a demo: set TODOKE_ENV=demo")
    click.echo(json.dumps(demo.seed(), ensure_ascii=False))
