"""Whether the database was set back: a restored backup, point-in-time recovery, a failover without the last commits.

In: each transaction after whose commit something is sent or charged (`beat.rising`). Out: the same transaction, or
`NothingMayLeave`. Can't happen here: an SMS or a charge that leaves on the word of a database that forgot what left
before. See docs/adr/0001-set-back-database.md.
"""
