"""Serve the cheapest page: Flask, one Jinja page, one SELECT by primary key; a connection for each thread."""

import os
import threading
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask, abort, render_template

app = Flask(__name__, root_path=str(Path(__file__).parent))
_of_thread = threading.local()


def _connection() -> psycopg.Connection[tuple[Any, ...]]:
    if not hasattr(_of_thread, "connection"):
        _of_thread.connection = psycopg.connect(os.environ["BARE_DATABASE_URL"], autocommit=True)
    connection: psycopg.Connection[tuple[Any, ...]] = _of_thread.connection
    return connection


@app.get("/<int:number>")
def page(number: int) -> str:
    """Show a row."""
    row = _connection().execute("SELECT id, name, phone FROM bare_page WHERE id = %s", [number]).fetchone()
    if row is None:
        abort(404)
    return render_template("bare_page.html", number=row[0], name=row[1], phone=row[2])
