"""Whole lists: uploaded, looked at, taken in, told of, taken back.

In: an upload and its mapping. Out: recipients, and the faults of the rows that stayed out. Can't happen here: a list
taken in part, a row lost without a word, an answer kept readable.
"""
