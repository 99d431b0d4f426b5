"""Every story of a link between two installations: what is implemented, explored state by state.

Two clusters, A with the issuer and B with the redeemer, each with its own record of the link, and between them
messages that may be late, lost or doubled.  Nothing of the protocol is written again: each step of an installation
is made by the engine's own parts (plans, executor, authority, desk, conversations), put together as in the operator,
on objects made from a small state; what they read is exactly what is in that state.  Each step is worked out once.

What is not explored: stores that lag, writes that land late and processes that die between two calls of one action,
which the stories of one cluster have (a message that is late says just what a store that lags would say); more than one
key, or one link of an installation; Secrets, but that B's user has entered the key; restores that give objects other
UIDs; the envelope, by which an answer fits its request alone, so that only who waits for an answer takes it; the clock,
by which a cancel is given up after 24 hours.
"""
