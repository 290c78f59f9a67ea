"""Which column of a list is what.

In: a headline, the campaign's questions and merge fields. Out: a mapping, proposed or corrected by hand, and what is
missing in it; a sample list of the columns that are needed. Can't happen here: a column used in two ways.
"""
