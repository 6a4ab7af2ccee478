"""Options that several subcommands share."""

from pathlib import Path

import click

overrides = click.option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    help="Replace a value of the scheme, such as train.steps=100. May be repeated.",
)

output_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How results are written to stdout; nothing is written there where a command "
    "fails without one.",
)

devices = click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Devices to use; as many as the mesh needs where not given. On a CPU they "
    "are virtual.",
)

out = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where checkpoints and metrics go; runs/NAME where not given, NAME being the "
    "scheme's name.",
)

heartbeat = click.option(
    "--heartbeat",
    type=click.IntRange(min=2),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="A process among several that is silent for so long counts as lost.",
)

scheme_file = click.argument("file", type=click.Path())


def examples(*lines: str) -> str:
    """Returns the end of a subcommand's help: examples, as they are typed."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
