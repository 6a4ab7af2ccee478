"""`diamondc fmt`."""

import difflib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.source import Source
from diamond.runtime.cli import options
from diamond.runtime.cli.output import exit_code_of, say, show

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Formatted:
    """A file before and after."""

    source: Source
    text: str

    @property
    def changed(self) -> bool:
        """Whether formatting changes it."""
        return self.source.text != self.text


@click.command(
    epilog=options.examples(
        "diamondc fmt examples/*.diamond",
        "diamondc fmt --diff my.diamond",
        "diamondc fmt - < my.diamond",
    )
)
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if a file would.")
@click.option("--diff", is_flag=True, help="Like --check, and show what would change.")
def fmt(files: tuple[str, ...], check: bool, diff: bool) -> int:
    """Format schemes in place.

    Comments stay. A file with syntax errors is left as it is. With -, the scheme is
    read from stdin and written to stdout.
    """
    results = [_formatted(file) for file in files]
    done = [each for each in results if isinstance(each, Formatted)]
    codes = [each for each in results if isinstance(each, int)]
    if check or diff:
        _report(done, diff)
        codes += [1 for each in done if each.changed]
    else:
        _write(done)
    return max(codes, default=0)


def _formatted(file: str) -> Formatted | int:
    """Returns a file as it should be, or an exit code where it cannot be read."""
    from diamond.dsl.formatter import format_text
    from diamond.dsl.reading import read_source

    try:
        source = read_source(file) if file != STDIN else _stdin()
        return Formatted(source, format_text(source))
    except SchemeError as error:
        show(error.diagnostics, error.source)
        return exit_code_of(error.diagnostics)


def _stdin() -> Source:
    return Source("<stdin>", sys.stdin.read())


def _report(done: list[Formatted], diff: bool) -> None:
    changed = [each for each in done if each.changed]
    for each in changed:
        if diff:
            click.echo(_difference(each), nl=False)
        else:
            click.echo(f"would reformat {each.source.name}")
    say(_counted(len(changed), len(done), "would be reformatted"))


def _difference(formatted: Formatted) -> str:
    name = formatted.source.name
    lines = difflib.unified_diff(
        formatted.source.text.splitlines(keepends=True),
        formatted.text.splitlines(keepends=True),
        name,
        name,
    )
    whole = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + whole for line in lines)


def _write(done: list[Formatted]) -> None:
    files = [each for each in done if each.source.name != "<stdin>"]
    for each in files:
        if each.changed:
            _replace(Path(each.source.name).resolve(), each.text)
    for each in done:
        if each.source.name == "<stdin>":
            click.echo(each.text, nl=False)
    if files:
        say(_counted(sum(each.changed for each in files), len(files), "reformatted"))


def _replace(path: Path, text: str) -> None:
    """Puts the new text in place whole, with the old file's permissions."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(text.encode())
        partial.chmod(path.stat().st_mode)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _counted(changed: int, total: int, verb: str) -> str:
    same = total - changed
    parts = [f"{changed} file{'s' * (changed != 1)} {verb}"] if changed else []
    if same:
        parts.append(f"{same} file{'s' * (same != 1)} left as is")
    return ", ".join(parts) or "no files"
