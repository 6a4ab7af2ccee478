"""The command's group. Subcommands import what is heavy when they are called."""

import sys

import click

from diamond.runtime.cli.check import check
from diamond.runtime.cli.cite import cite
from diamond.runtime.cli.compile import compile_scheme
from diamond.runtime.cli.explain import explain
from diamond.runtime.cli.fmt import fmt
from diamond.runtime.cli.guard import guarded, leave
from diamond.runtime.cli.launch import launch
from diamond.runtime.cli.run import run

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 88}

EPILOG = """\b
Examples:
  diamondc check examples/digits.diamond
  diamondc explain examples/digits.diamond
  diamondc run examples/digits.diamond --set train.steps=100

\b
Exit codes:
  0    all is well
  1    the scheme has errors
  2    the call or the environment does not fit
  3    the run failed
  70   a bug in diamondc
  75   one of several processes has lost another; the same command goes on
  130  stopped by Ctrl-C (SIGINT); a run has saved what was done
  143  stopped by SIGTERM, in the same way

\b
Completion in the shell, for bash, zsh or fish:
  eval "$(_DIAMONDC_COMPLETE=bash_source diamondc)"
"""


@click.group(context_settings=SETTINGS, epilog=EPILOG)
@click.version_option(package_name="diamondc", message="diamondc %(version)s")
def diamondc() -> None:
    """A compiler for distributed training schemes.

    A .diamond file says what is trained and how the work is spread over a mesh of
    devices; diamondc checks it, explains it, compiles it to one JAX program and runs
    it.
    """


for _command in (check, fmt, explain, compile_scheme, run, launch, cite):
    diamondc.add_command(_command)


def main() -> None:
    """Runs the command and leaves with its exit code."""
    code = guarded(diamondc, sys.argv[1:])
    if code and "diamond.runtime.processes.join" in sys.modules:
        leave(code)
    sys.exit(code)
