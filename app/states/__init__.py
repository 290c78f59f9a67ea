"""Where everyone stands: the vocabulary of states, the one way to move between them, events, and what is told of it.

In: a step that a door or a worker saw. Out: the state, its time and its event, written together; figures and the status
CSV. Can't happen here: a state entered by a move that the vocabulary doesn't name, or a step without its event.
"""
