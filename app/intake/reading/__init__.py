"""A file becomes rows of text.

In: the stored bytes of a file as Excel or a system in Japan makes it. Out: its headline, its rows with their numbers in
the sheet, its encoding. Can't happen here: a cell read otherwise than Excel shows it without a word, a parser of
workbooks in a process that holds a key, a list held in memory.
"""
