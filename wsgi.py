"""The WSGI entry: `granian --interface wsgi wsgi:app`, `flask --app wsgi …`."""

import gc
import sys

from app import create_app
from app.config import BadSettings

try:
    app = create_app()
except BadSettings as faults:
    sys.exit(f"Todoke can't start; these settings are wrong:\n{faults}")

# what stands now stands until the end: the cyclic collector's looks at it made one page in a hundred take 0.1 s more
gc.collect()
gc.freeze()
