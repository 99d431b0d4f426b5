"""The benchmark: what a link, a change and a restart cost, next to what the API server itself can do.

`main` runs one `scenario` per size on a `stage` of its own (control plane and operator as processes).  The
scenario uses `measures` of writes, links, flips and restarts, and `report` makes the page of what they found.
"""
