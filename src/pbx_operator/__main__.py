"""`python -m pbx_operator`: the operator process."""

from pbx_operator.operator import main

main()
