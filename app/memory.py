"""How the process gives memory back to the machine.

In: nothing. Out: an allocator that keeps little of what was freed. Can't happen here: a process that keeps, for each of
its many threads, the largest piece that thread ever held.
"""

import ctypes

# glibc's numbers for these, from malloc.h
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
# Pieces from here on go back as they are freed. It is glibc's own first value, which it raises to the largest piece
# that was ever freed unless it is told; a password's check takes 19 MiB.
_MMAP_BYTES = 128 * 1024
_ARENAS = 2


def give_back() -> None:
    """Have freed memory go back to the system; call it before threads start.

    Other C libraries do so by themselves.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
