"""Tools of the developer: embedded servers, the demo, the lock, the lint checks.

In: a folder, free ports, or servers named by the caller. Out: running processes and the environment the product reads.
Can't happen here: anything of this imported by the product (import-linter), a process left behind when the one that
started it ends, a password on a command line.
"""
