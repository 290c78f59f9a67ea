"""Whether this process was asked to end: work stops at the next message and leaves the rest as it found it."""

import threading

asked = threading.Event()
