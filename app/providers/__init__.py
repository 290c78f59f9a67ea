"""The outside world as pure adapters: SMS services, payment providers, and the one HTTP engine for all.

In: a message or an order. Out: the HTTP request that carries it, and the meaning of the answer. Can't happen here: a
rule of the product, a row of the database, a log line with a text or a number in it.
"""
