"""From whatever ends a command to an exit code; never to a traceback."""

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence

import click

from diamond.dsl.diagnostics import SchemeError
from diamond.runtime.cli.output import exit_code_of, fail, say, show
from diamond.runtime.failures import Failure

BUG = 70


def guarded(command: click.Command, arguments: Sequence[str]) -> int:
    """Runs a command and returns its exit code."""
    try:
        code = command.main(
            list(arguments), prog_name="diamondc", standalone_mode=False
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except SchemeError as error:
        show(error.diagnostics, error.source)
        return exit_code_of(error.diagnostics)
    except Failure as failure:
        fail(str(failure))
        return failure.exit_code
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:
        return _bug(error)


def _reader_left() -> int:
    """Keeps Python from flushing into the closed pipe when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _bug(error: Exception) -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="diamondc-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"diamondc {' '.join(sys.argv[1:])}\nPython {sys.version}\n\n")
        traceback.print_exception(error, file=file)
    summary = "".join(traceback.format_exception_only(error)).strip().splitlines()[0]
    fail(f"diamondc has a bug: {summary}")
    say(f"your scheme is not to blame; the report is in {file.name}")
    return BUG
