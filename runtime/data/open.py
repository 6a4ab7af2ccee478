"""From a scheme's data term to a dataset."""

from pathlib import Path

from diamond.dsl.vocabulary.scheme import Data, Model
from diamond.dsl.vocabulary.training import Digits, Text, Transformer
from diamond.runtime.data.arrays import open_arrays
from diamond.runtime.data.dataset import Dataset
from diamond.runtime.data.digits import open_digits
from diamond.runtime.data.text import open_text

# Tokens a window of text, where no transformer says how many.
DEFAULT_CONTEXT = 128


def open_data(
    term: Data, root: Path, seed: int = 0, model: Model | None = None
) -> Dataset:
    """Opens the data of a scheme.

    Args:
        term: The data.
        root: The scheme's folder, below which all files must be.
        seed: Seed of the order of examples; what is held out does not depend on it.
        model: The scheme's model, whose context is the window of a text.

    Raises:
        DataError: If the data cannot be used.

    Example:
        >>> data = open_data(Digits(batch=32), Path("."))
        >>> data.batch_at(7)["x"].shape
        (32, 8, 8, 1)
    """
    if isinstance(term, Digits):
        return open_digits(term, seed)
    if isinstance(term, Text):
        context = DEFAULT_CONTEXT
        if isinstance(model, Transformer):
            context = model.context
        return open_text(term, root, seed, context)
    return open_arrays(term, root, seed)
