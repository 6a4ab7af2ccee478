"""The command `diamondc`."""

from diamond.runtime.cli.command import main as main
