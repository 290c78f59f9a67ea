"""The vocabulary of states, the one file that writes them, and the codes that attempts come to.

In: a step that a door or a worker saw. Out: the state, its time and its event, written together (`transitions`). Can't
happen here: a state entered by a move that the `vocabulary` doesn't name, or a person's step without its event.
"""
