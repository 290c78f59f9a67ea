"""Figures for screens: a campaign's totals, a company's day and month, how far a sending is.

In: a campaign or a company. Out: counts with the time at which they were true. Can't happen here: a state that changes,
or a count that every watcher makes anew.
"""
