"""`diamondc check`."""

import click

from diamond.dsl.diagnostics import Diagnostic, SchemeError
from diamond.dsl.source import Source
from diamond.runtime.cli import options
from diamond.runtime.cli.output import exit_code_of, put_json, show

Findings = tuple[tuple[Diagnostic, ...], Source | None]


@click.command(
    epilog=options.examples(
        "diamondc check examples/*.diamond",
        "diamondc check my.diamond --set mesh.host=4",
        "diamondc check my.diamond --format json",
    )
)
@click.argument("files", nargs=-1, required=True, type=click.Path())
@options.overrides
@options.output_format
def check(
    files: tuple[str, ...], overrides: tuple[str, ...], output_format: str
) -> int:
    """Check schemes without running anything.

    Every error of every file is reported, with its place and what to do about it.
    """
    found = [_findings(file, overrides) for file in files]
    if output_format == "json":
        _put(found)
    else:
        _show(found)
    return max(exit_code_of(diagnostics) for diagnostics, _ in found)


def _findings(file: str, overrides: tuple[str, ...]) -> Findings:
    from diamond.dsl.load import diagnose
    from diamond.dsl.reading import read_source

    try:
        source = read_source(file)
    except SchemeError as error:
        return error.diagnostics, error.source
    _, diagnostics = diagnose(source, overrides)
    return diagnostics, source


def _put(found: list[Findings]) -> None:
    from diamond.dsl.render import to_json

    put_json([to_json(each, source) for every, source in found for each in every])


def _show(found: list[Findings]) -> None:
    for diagnostics, source in found:
        show(diagnostics, source)
    good = sum(exit_code_of(diagnostics) == 0 for diagnostics, _ in found)
    if good == len(found):
        click.echo(f"{good} scheme{'s' * (good != 1)} checked, no errors")
