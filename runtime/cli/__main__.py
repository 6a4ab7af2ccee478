"""`python -m diamond.runtime.cli` is `diamondc`."""

from diamond.runtime.cli.command import main

main()
