"""`python -m pbx_operator`: the operator process."""

from pbx_operator.commands.operator import main

main()
