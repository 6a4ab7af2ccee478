"""Pipelined: the same means, some steps later."""

import numpy as np
import pytest

from diamond.compiler.exchange.consistency.pipelined import pipelined
from tests.compiler.exchange.training import LR, START, gradient, trained


@pytest.mark.parametrize("delay", [1, 3])
def test_means_are_applied_that_much_later(delay) -> None:
    found = trained(lambda wire: pipelined(delay=delay))
    x, means = START, []
    for step, copies in enumerate(found.x):
        means.append(np.mean([gradient(x, step, i) for i in range(4)], axis=0))
        x = x - LR * means[step - delay] if step >= delay else x
        np.testing.assert_allclose(copies, np.stack([x] * 4), rtol=1e-5, atol=1e-6)


def test_copies_are_equal_bit_for_bit() -> None:
    copies = trained(lambda wire: pipelined(delay=2)).x
    assert (copies == copies[:, :1]).all()


def test_it_says_when_means_are_used() -> None:
    assert pipelined(delay=1).equations[1] == "g <- m of 1 step ago, 0 at first"
    assert pipelined(delay=2).equations[1] == "g <- m of 2 steps ago, 0 at first"
