"""Become another program that ends when its parent does, as another user if asked.

Run by `dev.process.spawn` as a script of its own (`python -I -S launch.py PARENT SIGNAL UID GID PROGRAM ARGUMENT…`; -1
keeps the user), so that no Python code runs between fork and exec of a parent with threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def main() -> None:
    """Set up and exec; returns never."""
    parent, death_signal, uid, gid = (int(word) for word in sys.argv[1:5])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid: a change of user clears it. It follows the thread that called `spawn`.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    os.execv(sys.argv[5], sys.argv[5:])


main()
