"""The story of communication servers; what it shares with the other demos is in `three_offices`.

`story` tells it; `sites` is a terminal for servers, `boxes` the programs that connect, `rainbow` plays the cloud that
one of the servers is declared to, `beside` runs what the demo plays itself, and `marks` says what the state of a
server means.
"""
