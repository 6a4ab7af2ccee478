"""The handwritten digits that scikit-learn carries with it."""

import hashlib

import numpy as np

from diamond.dsl.vocabulary.training import Digits
from diamond.runtime.data.examples import Examples
from diamond.runtime.data.sampling import Integers, split

CLASSES = 10


def open_digits(term: Digits, seed: int) -> Examples:
    """Opens the digits: `x` is `[batch, 8, 8, 1]` in [0, 1], `y` the digit as int32.

    The held-out digits are the same share of each class, whatever the seed.

    Example:
        >>> data = open_digits(Digits(batch=4), seed=0)
        >>> data.batch_at(0)["x"].shape, len(data.held_out()["y"])
        ((4, 8, 8, 1), 359)
    """
    from sklearn.datasets import load_digits  # takes a second; only digits need it

    bunch = load_digits()
    images = (bunch.images[..., None] / 16.0).astype(np.float32)
    labels = bunch.target.astype(np.int32)
    training, holding = _stratified(labels, term.held_out)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return Examples(
        images, labels, training, holding, term.batch, seed, CLASSES, digest
    )


def _stratified(labels: Integers, held_out: float) -> tuple[Integers, Integers]:
    training, holding = [], []
    for label in range(CLASSES):
        rows = np.flatnonzero(labels == label)
        kept, held = split(len(rows), held_out)
        training.append(rows[kept])
        holding.append(rows[held])
    return np.sort(np.concatenate(training)), np.sort(np.concatenate(holding))
