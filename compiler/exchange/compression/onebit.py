"""1-bit Adam: the momentum crosses as signs once the second moment stands still.

For `start` steps plain Adam, with a momentum u kept on the side:

    y   = (1/N) sum_i v_i
    u  <- b1 u + (1 - b1) y

From then on every member's own momentum crosses, in the form of `sign` with feedback:

    u'  = mean of C(b1 u + (1 - b1) v_i + e_i), 0 where u is 0
    y   = (u' - b1 u) / (1 - b1)
    u  <- u'

so that Adam, which is given y, arrives at u' by itself. Adam's second moment n is put
back after each update, but for its bias, which goes on to fade:

    n  <- n_before (1 - b2^t) / (1 - b2^(t-1))          t = Adam's count

Bill: a dense mean for `start` steps; then as `sign` in blocks of 1024, gathered or in
two phases: 1 bit a value and 4 bytes a block, the last block of each tensor in full;
vectors and tensors of fewer than 1024 values cross as they are throughout. Memory: one
copy of the values for u; the residuals of `sign`, n values at the worker and n/N at the
server.
Traps: a value whose gradient was 0 throughout the warm-up has no second moment, so that
its sign would move it by the inverse of Adam's epsilon: it stands still. A warm-up that
is too short leaves small second moments too: of 1000 steps on the digits 250 were
enough, and 200 not; an `eps` of 1e-6 makes it less delicate than Adam's 1e-8.
Limits: `start` beyond the run is Adam.

References: H. Tang et al., 1-bit Adam: Communication Efficient Large-Scale Training
with Adam's Convergence Speed, arXiv 2102.02888, 2021. We keep Adam's correction of the
bias; an update sees its own y in the second moment, which forgets it afterwards; and
the scale of a block is the mean size of its values, which loses less than their
root mean square.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from diamond.compiler.exchange.coded import Feedback, coded
from diamond.compiler.exchange.compression.sign import sign
from diamond.compiler.exchange.contract import (
    Compressor,
    Leaves,
    Tree,
    skips_small,
)
from diamond.compiler.exchange.leafwise import mean_in_one, zeros_like
from diamond.compiler.exchange.site import Moments
from diamond.compiler.exchange.symbols import is_sum, weighted
from diamond.compiler.exchange.wire import Wire

BLOCK = 1024


class OneBitState(NamedTuple):
    """What one device keeps.

    Attributes:
        momentum: Like the values; equal along the axis.
        lost: What the signs lost, this member's own; zeros until they cross.
    """

    momentum: Leaves
    lost: Feedback


def onebit(*, warm: bool, adam: Moments | None, size: int) -> Compressor:
    """Returns the mean of one of the two stages of 1-bit Adam.

    Args:
        warm: Whether Adam still warms up and values cross as they are.
        adam: The optimizer's constants.
        size: Members along the axis.

    Raises:
        ValueError: If the optimizer is not Adam.

    Example:
        >>> onebit(warm=True, adam=Moments(0.9, 0.999), size=8).route
        'sum'
        >>> onebit(warm=False, adam=Moments(0.9, 0.999), size=8).route
        'two_phase'
    """
    if adam is None:
        raise ValueError(
            "`onebit` is a form of Adam, and the optimizer is another one: train with "
            "`adam(...)` or `adamw(...)`, or compress with `sign(...)`"
        )
    signs = coded(sign(block=BLOCK, feedback=True), size)

    def init(values: Leaves) -> OneBitState:
        return OneBitState(zeros_like(values), signs.init(values))

    if warm:
        return _dense(init, adam.b1)
    return _signed(init, signs, adam)


def _dense(init: Callable[[Leaves], OneBitState], b1: float) -> Compressor:
    def mean(
        values: Leaves, state: OneBitState, wire: Wire, turn: int
    ) -> tuple[Leaves, OneBitState]:
        del turn
        made = mean_in_one(values, wire)
        momentum = _decayed(state.momentum, made, b1)
        return made, OneBitState(momentum, state.lost)

    return Compressor(
        init=init,
        mean=mean,
        equations=(
            "{y} = mean of {x}",
            f"u <- {weighted((b1, 'u'), (1 - b1, '{y}'))}",
        ),
        route="sum",
        reason="values add up on the way while Adam warms up",
        skips=skips_small(BLOCK),
    )


def _signed(
    init: Callable[[Leaves], OneBitState], signs: Compressor, adam: Moments
) -> Compressor:
    b1 = adam.b1

    def mean(
        values: Leaves, state: OneBitState, wire: Wire, turn: int
    ) -> tuple[Leaves, OneBitState]:
        mine = _alive(_decayed(state.momentum, values, b1), state.momentum)
        momentum, lost = signs.mean(mine, state.lost, wire, turn)
        momentum = _alive(momentum, state.momentum)
        made = jax.tree.map(
            lambda new, old: (new - b1 * old) * (1 / (1 - b1)), momentum, state.momentum
        )
        return made, OneBitState(momentum, lost)

    fresh = weighted((b1, "u"), (1 - b1, "{x}"))
    fresh = f"({fresh})" if is_sum(fresh) else fresh
    step = weighted((1, "u'"), (-b1, "u"))
    step = f"({step}) / {1 - b1:g}" if b1 else step
    lines = [
        each.replace("{y}", "u'").replace("{x}", fresh) for each in signs.equations
    ]
    return Compressor(
        init=init,
        mean=mean,
        equations=(*lines, f"{{y}} = {step}", "u <- u'"),
        route=signs.route,
        reason=signs.reason,
        skips=skips_small(BLOCK),
        settle=lambda before, after: frozen(before, after, adam.b2),
    )


def _alive(values: Leaves, momentum: Leaves) -> Leaves:
    """Returns values with zeros where no gradient was ever seen; NaN stays NaN."""
    alive: Leaves = jax.tree.map(
        lambda v, u: jnp.where(u == 0, 0 * v, v), values, momentum
    )
    return alive


def frozen(before: Tree, after: Tree, b2: float) -> Tree:
    """Puts Adam's second moment back to what it was, but for the fading of its bias.

    Args:
        before: The optimizer's state before the update.
        after: The same after it.
        b2: How fast the second moment forgets.

    Raises:
        ValueError: If there is no state of Adam's in the optimizer's.
    """
    is_adam = _is_adam
    if not any(map(is_adam, jax.tree.leaves(after, is_leaf=is_adam))):
        raise ValueError(
            "`onebit` freezes Adam's second moment, and the optimizer's state holds no "
            "`optax.ScaleByAdamState`: train with `optax.adam` or `optax.adamw`"
        )

    def put_back(old: Any, new: Any) -> Any:
        return _put_back(old, new, b2) if is_adam(new) else new

    return jax.tree.map(put_back, before, after, is_leaf=is_adam)


def _is_adam(node: Any) -> bool:
    return isinstance(node, optax.ScaleByAdamState)


def _put_back(
    old: optax.ScaleByAdamState, new: optax.ScaleByAdamState, b2: float
) -> optax.ScaleByAdamState:
    # 1 - b2^t by way of expm1: with b2 close to 1 the difference would lose digits.
    rate = math.log(b2) if b2 > 0 else -math.inf

    def held(nu: jax.Array) -> jax.Array:
        now, then = (
            jnp.expm1(t.astype(nu.dtype) * rate) for t in (new.count, old.count)
        )
        return nu * (now / then)

    return new._replace(nu=jax.tree.map(held, old.nu))


def _decayed(momentum: Leaves, values: Leaves, b1: float) -> Leaves:
    mixed: Leaves = jax.tree.map(lambda m, v: b1 * m + (1 - b1) * v, momentum, values)
    return mixed
