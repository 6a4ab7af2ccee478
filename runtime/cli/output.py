"""What the command prints: results to stdout, everything else to stderr."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.source import Source
from diamond.runtime.strict_json import dumps

UNREADABLE = "D001"


def say(text: str) -> None:
    """Writes a line to stderr."""
    click.echo(text, err=True)


def fail(text: str) -> None:
    """Writes an error to stderr."""
    stream = sys.stderr
    head = click.style("error", fg="red", bold=True) if in_color(stream) else "error"
    click.echo(f"{head}: {text}", file=stream, color=True)


def show(diagnostics: Iterable[Diagnostic], source: Source | None) -> None:
    """Writes diagnostics to stderr."""
    from diamond.dsl.render import render_all

    stream = sys.stderr
    text = render_all(diagnostics, source, color=in_color(stream))
    if text:
        click.echo(text, file=stream, color=True)


def put_json(data: Any) -> None:
    """Writes a result to stdout as one line of JSON."""
    click.echo(dumps(data))


def exit_code_of(diagnostics: Sequence[Diagnostic]) -> int:
    """Returns 0 where nothing is an error, 2 where no file could be read, else 1."""
    codes = {each.code for each in diagnostics if each.severity == "error"}
    if not codes:
        return 0
    return 2 if codes == {UNREADABLE} else 1


def in_color(stream: TextIO) -> bool:
    """Whether colour is wanted: on a terminal, unless NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()
