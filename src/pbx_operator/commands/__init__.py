"""The command line `pbx-operator`: a module for each command, in front of what then runs.

`operator` is the command itself, to which the others are added.  `options` is what several of them take, and `serving`
how those run that go on until a signal.
"""
