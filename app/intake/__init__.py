"""A customer's list becomes checked recipients.

In: the bytes of a file as Excel or a system in Japan makes it, the campaign's questions, a mapping of columns to roles.
Out: for each sheet row (header = 1) a checked recipient, or the faults that keep it out, in Japanese; rejected rows as
a file to correct and upload again. Can't happen here: a row lost without a word, a number guessed, a fault at another
row than the person sees in Excel, a card number let in, an answer kept readable, or a file held in memory.

From the bottom up: `reading` and `columns`, `checking`, `lists`, `rows`.
"""
