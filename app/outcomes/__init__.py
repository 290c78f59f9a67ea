"""Settle what became of an SMS: receipts, questions about unknown ones, and decisions of a manager.

In: what providers push and answer. Out: each person's SMS state with its event, or a person held until a manager
decides. Can't happen here: an absence that is believed without proof, a second automatic SMS after an unknown outcome,
a receipt that is lost because it can't be read yet.
"""
