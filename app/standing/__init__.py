"""常設配信: one person at a time, checked and measured the moment they come, sent to within seconds.

In: one person's columns, from a form or a program. Out: somebody who waits for their SMS in the version of the words
that holds now, and from when on it may leave; or every problem, by column. Can't happen here: a person who passes other
checks than a list's rows, or whose SMS is longer than one; two people for one press; a person with words that nobody
approved.
"""
