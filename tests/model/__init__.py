"""Every story of a small world: the implemented rules of links, explored state by state.

Where `simulation` plays single stories with the whole engine, this package visits all of them, with less around the
rules: one key issuer I, one redeemer R, a rival Q, their lives, one operator that may die, its late writes, a Store
that may lag.  The rules are the real `plan_link`, `transition` and `decide`; nothing of them is written again.

`federation` does the same for the two installations of a link between clusters.
"""
