"""A company as the people it writes to see it: its colour and logo, its sender numbers, and whether an SMS is from it.

In: what a manager or an operator sets for a company. Out: values that pages are drawn with, and the sender that an SMS
names. Can't happen here: a style or a picture that runs something on a recipient's phone.
"""
