"""Campaigns: texts, questions, the check over every row, the life of a campaign.

In: a clerk's texts and the recipients that intake made. Out: a campaign whose every SMS was rendered and measured
before the first one leaves, and slices for delivery. Can't happen here: a launch of anything else than what was
checked.
"""
