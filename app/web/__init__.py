"""Guard every door: headers, lengths of requests, bodies in time, health.

In: a WSGI request. Out: the same request within its limits, or a bare page that says what to do. Can't happen here: a
body read without a bound, a slow sender who holds up others, an answer without its headers.
"""
