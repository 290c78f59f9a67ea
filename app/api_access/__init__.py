"""The right to use the API: by key and address, so often, and the answers that were given.

In: a key as it was sent, the address it came from, a request. Out: a `Caller` with its company and its scopes, or
nothing; what is left of its limits; the answer that the same request was given before. Can't happen here: a key that
opens anything from an address that isn't on its company's list, or without a list; a key that can be read anywhere but
on the page that made it; an act done twice for one Idempotency-Key, or done without its answer being kept.
"""
