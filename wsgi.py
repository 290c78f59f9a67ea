"""The WSGI entry: `granian --interface wsgi wsgi:app`, `flask --app wsgi …`."""

import gc
import os
import sys

from app import create_app, memory
from app.config import BadSettings
from app.extensions import redis_client

memory.give_back()

try:
    app = create_app()
except BadSettings as faults:
    sys.exit(f"Todoke can't start; these settings are wrong:\n{faults}")

# workers, the scheduler and commands can wait for Redis; pages and receipts don't
if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
    redis_client.hurry()

# objects that stand now stand until the end: the cyclic collector's looks at it made one page in a hundred take 0.1 s
# more
gc.collect()
gc.freeze()
