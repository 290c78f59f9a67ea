"""Files for managers: the status of people as CSV or xlsx, made while it is read or by a job, and fetched later.

In: whom the file is about, its columns and form. Out: a stream of bytes, or a sealed file with its end. Can't happen
here: a cell that a spreadsheet would run, a file of another company, a whole list in memory.
"""
