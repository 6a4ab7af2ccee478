"""Loading the scheme that a subcommand is about."""

import contextlib
from collections.abc import Iterator, Sequence

from diamond.dsl.legality import Refusal
from diamond.dsl.vocabulary import Scheme
from diamond.runtime.cli.output import show


def load(file: str, overrides: Sequence[str], *, quietly: bool = False) -> Scheme:
    """Loads a scheme, showing what the checker warns of unless `quietly`.

    Raises:
        SchemeError: If it has errors.
    """
    from diamond.dsl.load import load_source
    from diamond.dsl.reading import read_source

    source = read_source(file)
    scheme, warnings = load_source(source, overrides)
    if not quietly:
        show(warnings, source)
    return scheme


@contextlib.contextmanager
def located(file: str, overrides: Sequence[str]) -> Iterator[None]:
    """Gives what only the model's tensors show to be wrong its places in the file."""
    try:
        yield
    except Refusal as refusal:
        from diamond.dsl.load import located as placed
        from diamond.dsl.reading import read_source

        raise placed(refusal, read_source(file), overrides) from refusal
