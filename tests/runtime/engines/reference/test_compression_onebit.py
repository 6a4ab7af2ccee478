"""1-bit Adam's gradients."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import OneBit, Sign
from tests.runtime.engines.reference.exchanges import Exchange, members, plain

B1 = 0.9
LEAF = (40, 30)  # a block and a part of one


def adams_momentum(gradients):
    m = 0
    for g in gradients:
        m = B1 * m + (1 - B1) * g
    return m


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num", [1, 2, 3])
def test_before_the_start_it_is_the_mean(num, dtype):
    like = members(1, (3,), LEAF, dtype=dtype)[0]
    exchange = Exchange(OneBit(start=3), like, num, decay=B1)
    seen = []
    for step in range(3):
        values = members(num, (3,), LEAF, dtype=dtype, seed=step)
        got = exchange(values)
        assert got[1].dtype == dtype
        assert got[1] == pytest.approx(plain(values)[1], rel=1e-5, abs=1e-6)
        seen.append(got[1])
    (momentum,) = exchange.states[0].momentum
    assert momentum.dtype == dtype
    assert momentum == pytest.approx(adams_momentum(seen), rel=1e-5, abs=1e-6)
    assert (exchange.states[0].residual.worker == 0).all()


@pytest.mark.parametrize("num", [1, 2, 3])
def test_from_the_start_on_adam_gets_the_mean_of_signs_as_its_momentum(num):
    like = members(1, (3,), LEAF)[0]
    exchange = Exchange(OneBit(start=2), like, num, decay=B1)
    signs = Exchange(Sign(block=1024), [like[1]], num)
    given = []
    for step in range(6):
        values = members(num, (3,), LEAF, seed=step)
        before = adams_momentum(given)
        given.append(exchange(values)[1])
        if step < 2:
            continue
        wanted = [[B1 * before + (1 - B1) * v[1]] for v in values]
        assert adams_momentum(given) == pytest.approx(signs(wanted)[0])
        assert exchange.states[0].momentum[0] == pytest.approx(adams_momentum(given))


def test_dense_leaves_are_always_the_mean():
    exchange = Exchange(OneBit(start=1), members(1, (3,), LEAF)[0], 2, decay=B1)
    for step in range(3):
        values = members(2, (3,), LEAF, seed=step)
        assert exchange(values)[0] == pytest.approx(plain(values)[0])


def test_momentum_is_sent_in_one_size():
    exchange = Exchange(OneBit(start=1), [np.zeros(LEAF)], 2, decay=B1)
    for step in range(2):
        exchange(members(2, LEAF, seed=step))
    (momentum,) = exchange.states[1].momentum
    sizes = np.abs(momentum).ravel()
    # in each block both members' signs agree or cancel
    for block in (sizes[:1024], sizes[1024:]):
        assert len(np.unique(block.round(12))) <= 2
