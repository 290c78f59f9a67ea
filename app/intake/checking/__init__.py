"""Rows are checked by the rules that a mapping makes.

In: rows and a mapping. Out: for each a checked row, or the faults that keep it out, in Japanese; those as a file to
correct. Can't happen here: a number guessed, a card number let in, a fault at another row than the person sees.
"""
