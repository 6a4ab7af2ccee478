"""`diamondc compile`."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from diamond.runtime.cli import options
from diamond.runtime.cli.scheme import load, located

FORMS = ("ast", "scheme", "plan", "jaxpr", "stablehlo", "hlo")


@click.command(
    "compile",
    epilog=options.examples(
        "diamondc compile my.diamond --emit scheme --set train.steps=100",
        "diamondc compile my.diamond --emit hlo > my.hlo",
    ),
)
@options.scheme_file
@click.option(
    "--emit",
    type=click.Choice(FORMS),
    default="plan",
    show_default=True,
    help="The form to print: from the syntax tree to the optimized HLO.",
)
@options.devices
@options.overrides
def compile_scheme(
    file: str, emit: str, devices: int | None, overrides: tuple[str, ...]
) -> int:
    """Print a scheme in one of the forms it takes on its way to the devices.

    A scheme whose exchanges are not due at every step has several programs; each one
    is printed below the names of its exchanges. The form `scheme` is the scheme with
    presets, constants and overrides put in and every default written out.
    """
    if emit == "ast":
        click.echo(_syntax_tree(file))
        return 0
    scheme = load(file, overrides)
    if emit == "scheme":
        from diamond.dsl.emit import emit as written

        click.echo(written(scheme, in_full=True), nl=False)
        return 0

    from diamond.runtime.session import open_session

    session = open_session(
        scheme,
        Path(file).parent,
        engine=None if emit == "plan" else "mesh",
        num_devices=devices,
    )
    with located(file, overrides):
        text = session.text(emit)
    click.echo(text, nl=False)
    return 0


def _syntax_tree(file: str) -> str:
    from diamond.dsl.diagnostics import SchemeError
    from diamond.dsl.parser import parse
    from diamond.dsl.reading import read_source

    source = read_source(file)
    tree, problems = parse(source)
    if problems:
        raise SchemeError(problems, source)
    return json.dumps(_plain(tree), indent=2)


def _plain(node: Any) -> Any:
    if isinstance(node, tuple):
        return [_plain(each) for each in node]
    if not dataclasses.is_dataclass(node):
        return node
    fields = {
        each.name: _plain(getattr(node, each.name)) for each in dataclasses.fields(node)
    }
    return {"node": type(node).__name__, **fields}
