"""Webhooks: what became of people and campaigns, signalled to a company's own server as it happens.

In: the feed of events (`app.event_feed`), and a company's endpoints: address, event types, secrets. Out: signed POSTs
(Standard Webhooks) of at most 2 KiB, and a row for each delivery with what the receiver answered. Can't happen here: an
event passed over (an endpoint's cursor moves in the transaction that records what was sent up to it, so a worker that
dies in between sends again); a phone number, a name or an answer in a message; a request to a private address, to
wherever a receiver redirects, or through a proxy; an endpoint that waits for another one's receiver.
"""
