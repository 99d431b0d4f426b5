"""How installations of the operator speak with each other: signed messages over HTTPS.

Trust comes from the signatures of `domain.protocol.envelope` alone.  What is in here keeps strangers from costing much
and carries bytes; what a message means is decided behind `links.desk`.
"""
