"""One door to all sources."""

from pathlib import Path

import numpy as np

from diamond.dsl.vocabulary.training import Arrays, Digits, Mlp, Text, Transformer
from diamond.runtime.data import open_data


def test_each_term_opens_its_source(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.ones((4, 2)), y=np.ones(4))
    terms = Digits(batch=2), Text(batch=2), Arrays(file="d.npz", batch=2)
    shapes = [open_data(term, tmp_path).example_shapes()["x"].shape for term in terms]
    assert shapes == [(2, 8, 8, 1), (2, 128), (2, 2)]


def test_the_model_says_how_long_a_window_is(tmp_path: Path) -> None:
    for model, context in ((Transformer(context=24), 24), (Mlp(), 128), (None, 128)):
        data = open_data(Text(batch=2), tmp_path, model=model)
        assert data.batch_at(0)["x"].shape == (2, context)


def test_the_seed_orders_the_examples(tmp_path: Path) -> None:
    one, other = (open_data(Digits(batch=8), tmp_path, seed) for seed in (0, 1))
    assert (one.batch_at(0)["y"] != other.batch_at(0)["y"]).any()
