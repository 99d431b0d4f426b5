"""Whether an installation is as it should be, asked from outside: for `helm test`, for people, and before the end.

`permissions` is the table of what the operator needs to be allowed, `probes` ask the parts of an installation, and
`leftovers` are the objects that keep it from being removed. `commands.check` is the command line in front of them.
"""
