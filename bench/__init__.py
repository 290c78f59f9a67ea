"""Benches and drills: what the product does under load and under failure, measured on real parts.

In: a machine and a setting each. Out: a table for people and, as the last line, one JSON object for machines
(`bench.report`). Can't happen here: anything the product imports, or a load on anything but 127.0.0.1.
"""
