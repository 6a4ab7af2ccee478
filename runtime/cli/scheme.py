"""Loading the scheme that a subcommand is about."""

from collections.abc import Sequence

from diamond.dsl.vocabulary import Scheme
from diamond.runtime.cli.output import show


def load(file: str, overrides: Sequence[str]) -> Scheme:
    """Loads a scheme, showing what the checker warns of.

    Raises:
        SchemeError: If it has errors.
    """
    from diamond.dsl.load import load_source
    from diamond.dsl.reading import read_source

    source = read_source(file)
    scheme, warnings = load_source(source, overrides)
    show(warnings, source)
    return scheme
