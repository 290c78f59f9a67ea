"""The WSGI entry: `granian --interface wsgi wsgi:app`, `flask --app wsgi …`."""

import sys

from app import create_app
from app.config import BadSettings

try:
    app = create_app()
except BadSettings as faults:
    sys.exit(f"Todoke can't start; these settings are wrong:\n{faults}")
