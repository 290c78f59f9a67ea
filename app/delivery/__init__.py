"""The way of an SMS to the provider: lease a slice, claim, send, record the answer, plan another try.

In: slices of people who wait, and what providers answer at once; later answers go to `app.outcomes`. Out: each person's
SMS state with its events, and a send log row for every attempt. Can't happen here: a request that leaves before its
attempt is committed; a second SMS while the fate of the first is unknown; a write by a worker whose lease is over; a
transaction held open during a request; a person who waits without a slice that will be looked at again.

The slice's row is locked by every transaction that writes for it, so that a cancelled campaign, a second worker and a
late one all meet there. `app.states.locks` has the order.
"""
