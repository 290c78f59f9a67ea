"""Tell other systems what happened: every event of a company once, in an order that nothing slips behind.

In: the cursor at which a reader stands. Out: the events after it with the next cursor. Can't happen here: an event that
commits late and is passed over; a person's events in another order than they happened in; a cursor that opens another
company's events, or tells how many there are. See docs/adr/0012-event-feed.md.
"""
