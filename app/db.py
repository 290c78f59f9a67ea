"""Where a statement can run: what functions take that read or write in the transaction of their caller."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session, scoped_session

Executor = Connection | Session | scoped_session[Any]
