"""Staff and their sessions: passwords, second factor, sign-in, who is signed in.

In: what somebody types at the sign-in. Out: a session kept in the database, or a refusal that tells a guesser nothing.
Can't happen here: a password that can be read back, a session that outlives its end, a guess that is not counted.
"""
