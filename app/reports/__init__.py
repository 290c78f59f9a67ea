"""Figures for screens: a campaign's totals, a company's day and month, how far a sending is, how well SMS arrive.

In: a campaign, a company or an account. Out: sums of totals that each change adds to. Can't happen here: a state that
changes, or a screen that counts a million people.
"""
