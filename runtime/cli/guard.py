"""From whatever ends a command to an exit code; never to a traceback."""

import contextlib
import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from diamond.dsl.diagnostics import SchemeError
from diamond.runtime import memory
from diamond.runtime.cli.output import exit_code_of, fail, say, show
from diamond.runtime.failures import (
    EnvironmentProblem,
    Failure,
    Interrupted,
    RunFailed,
)
from diamond.runtime.processes.lost import as_loss

BUG = 70
# What the machine refuses whatever the code does.
REFUSALS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.EMFILE,
    errno.ENFILE,
}


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
        return _failed(failure)
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:
        known = _known(error)
        return _failed(known) if known else _bug(error)


def leave(code: int) -> NoReturn:
    """Ends one of several processes at once.

    An orderly end would wait for the others, which wait for this one.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _failed(failure: Failure) -> int:
    tell = say if isinstance(failure, Interrupted) else fail
    tell(str(failure))
    return failure.exit_code


def _known(error: Exception) -> Failure | None:
    """Returns what the machine is to blame for, as a failure."""
    lost = as_loss(error)
    if lost is not None:
        return lost
    if memory.is_out_of_memory(error):
        return RunFailed(f"out of memory: {memory.ADVICE}")
    if isinstance(error, OSError) and error.errno in REFUSALS:
        where = f"{error.filename}: " if error.filename else ""
        return EnvironmentProblem(f"{where}{(error.strerror or str(error)).lower()}")
    return None


def _reader_left() -> int:
    """Keeps Python from flushing into the closed pipe when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _first_line(error: Exception) -> str:
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[0]


def _bug(error: Exception) -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="diamondc-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"diamondc {' '.join(sys.argv[1:])}\nPython {sys.version}\n\n")
        traceback.print_exception(error, file=file)
    fail(f"diamondc has a bug: {_first_line(error)}")
    say(f"your scheme is not to blame; the report is in {file.name}")
    return BUG
