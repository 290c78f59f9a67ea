"""Identify the person behind a link: what they typed becomes the one form in which answers are compared.

In: a question's kind and what a person typed or a file held. Out: the normalised answer, or a refusal that says in
Japanese what to do. Can't happen here: an answer that matches on one day and not on another (the rules are pure and
read no clock), a guess at an unclear date, or an answer in a log, a message or an exception.
"""
