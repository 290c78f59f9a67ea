"""Identify the person behind a link: find their page, check their answers, lock, unlock and revoke.

In: a link's token or a page session, typed answers, a manager's decision. Out: where the person stands (`visit`), a
verdict on the answers (`check`), a campaign stopped in which far too many fail (`guard`). Can't happen here: a state
changed by opening a link, more attempts than the campaign allows, a verdict that tells which answer was wrong, or an
answer in a log. The form in which answers are compared is `app.values.answers`.
"""
