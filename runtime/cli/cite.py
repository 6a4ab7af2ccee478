"""`diamondc cite`."""

import dataclasses

import click

from diamond.runtime.cli import options
from diamond.runtime.cli.output import put_json, say
from diamond.runtime.cli.scheme import load


@click.command(
    epilog=options.examples(
        "diamondc cite examples/two_sites.diamond >> paper.bib",
        "diamondc cite my.diamond --format json",
    )
)
@options.scheme_file
@options.overrides
@options.output_format
def cite(file: str, overrides: tuple[str, ...], output_format: str) -> int:
    """Cite the papers of the algorithms that a scheme uses.

    Prints BibTeX of what its axes do: who talks to whom, what and when, and in what
    form. Model, data and optimizer are left to you.
    """
    from diamond.dsl.cite import bibtex, citations

    papers = citations(load(file, overrides))
    if output_format == "json":
        put_json([dataclasses.asdict(one) for one in papers])
    elif papers:
        click.echo("\n\n".join(bibtex(one) for one in papers))
    else:
        say("nothing to cite: no axis has replicas")
    return 0
