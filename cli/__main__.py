"""`python -m cli`: the `hotlead` command."""

from cli import main

main()
