"""Numbers that a company sends nothing to (送信しない番号): the list, who counts as on it, what is proposed for it.

In: a number as typed or as a file's row, with a reason and perhaps an end. Out: one condition about recipients, which
the check, the claim and everything that sends again ask; proposals that wait for a clerk. Can't happen here: a number
kept (the blind index alone is); a number put on the list by a service or a recipient, without a clerk's word; a change
without an entry in the audit.
"""
