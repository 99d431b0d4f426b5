"""Stand-ins for services of other companies, written after their public documents; none of them knows the operator.

`serving` lets one listen, `journal` tells what it was asked, and `faults` come between it and its client.
"""
