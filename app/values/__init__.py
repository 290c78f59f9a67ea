"""Parse what people type: numbers, dates, amounts, answers and names of columns become one form each.

In: text as a person, a file or a screen gives it. Out: the one form in which it is kept and compared, or a refusal in
Japanese that says what to type. Can't happen here: a database, a request, a clock other than the one passed in.
"""
