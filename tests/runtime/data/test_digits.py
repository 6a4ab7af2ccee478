"""The digits: what they look like, what is held out, and exact resumption."""

import numpy as np
import pytest

from diamond.dsl.vocabulary.training import Digits
from diamond.runtime.data.digits import open_digits


def test_images_and_labels() -> None:
    batch = open_digits(Digits(batch=64), seed=0).batch_at(0)
    x, y = batch["x"], batch["y"]
    assert (x.shape, x.dtype, y.shape, y.dtype) == (
        (64, 8, 8, 1),
        np.float32,
        (64,),
        np.int32,
    )
    assert (x.min(), x.max()) == (0, 1)
    assert set(y.tolist()) == set(range(10))


def test_shapes_are_those_of_a_batch() -> None:
    data = open_digits(Digits(batch=7), seed=0)
    batch, shapes = data.batch_at(3), data.example_shapes()
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in shapes.items()
    }
    assert data.classes == 10


def test_an_epoch_sees_each_digit_once_and_none_held_out() -> None:
    data = open_digits(Digits(batch=719, held_out=0.2), seed=4)
    seen = np.concatenate([data.batch_at(step)["x"] for step in (0, 1)])
    held = data.held_out()["x"]
    assert len(seen) + len(held) == 1797
    together = np.concatenate([seen, held]).reshape(1797, -1)
    assert len(np.unique(together, axis=0)) == 1797


def test_what_is_held_out_is_balanced_and_needs_no_seed() -> None:
    first, second = (open_digits(Digits(), seed).held_out() for seed in (0, 1))
    np.testing.assert_array_equal(first["x"], second["x"])
    counts = np.bincount(first["y"])
    assert counts.min() >= 34
    assert counts.max() <= 37


def test_batches_are_a_function_of_seed_and_step() -> None:
    data = open_digits(Digits(batch=100), seed=5)
    batches = [data.batch_at(step)["x"] for step in range(30)]
    resumed = open_digits(Digits(batch=100), seed=5)
    for step in (29, 17, 3):
        np.testing.assert_array_equal(resumed.batch_at(step)["x"], batches[step])
    other = open_digits(Digits(batch=100), seed=6)
    assert (other.batch_at(0)["x"] != batches[0]).any()
    assert other.fingerprint() == data.fingerprint()


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_any_share_can_be_held_out(share: float) -> None:
    data = open_digits(Digits(batch=100, held_out=share), seed=0)
    held = data.held_out()["y"]
    assert len(held) == pytest.approx(1797 * share, abs=5)
    assert len(data.batch_at(0)["y"]) == 100
