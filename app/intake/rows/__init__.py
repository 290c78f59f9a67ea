"""Rows one at a time: typed in, corrected, replaced, left out and taken back, before the launch.

In: a form, or a row of a list. Out: a recipient as a list would have made it, on record. Can't happen here: a row that
passes other checks than a list's, one that was left out and comes back by itself.
"""
