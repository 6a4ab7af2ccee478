"""Delays: clocks of copies that are late, drawn from a seeded law.

    delay = number of thresholds c_k <= u,     u uniform in [0, 1)

with c_k = P(delay <= k), so that a delay follows the law, cut off at a bound:

* uniform: 0, 1, ..., round(2 mean) are equally likely;
* geometric: P(delay > k) = q^(k+1) with q = mean / (1 + mean);
* constant: round(mean), always.

u is a function of the law's seed, the axis, the step and the member's place along the
axis and the axes further out (see `noise`): a run that resumes finds its copies as late
as they would have been.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diamond.compiler.exchange.noise import Stream, key_of, uniform
from diamond.compiler.exchange.wire import Wire


class Law(NamedTuple):
    """A law of delays.

    Attributes:
        thresholds: c_0 <= c_1 <= ...; there are no longer delays than there are of
            them.
        seed: Seed of the draws.
        name: The law in words, for equations.
    """

    thresholds: tuple[float, ...]
    seed: int
    name: str

    def draw(self, clock: jax.Array, wire: Wire) -> jax.Array:
        """Draws this member's delay, `int32[]`, at a step of its own clock."""
        seed = wire.stream(Stream.DELAYS, seed=self.seed)
        drawn = uniform(key_of(seed, clock, wire.place()), 1)
        reached = jnp.asarray(self.thresholds, jnp.float32) <= drawn
        return reached.sum(dtype=jnp.int32)


def law_of(*, law: str, mean: float, seed: int, most: int) -> Law:
    """Returns a law of delays of at most `most` steps.

    Args:
        law: `uniform`, `geometric` or `constant`.
        mean: Mean of the law, before it is cut off.
        seed: Seed of the draws.
        most: The longest delay.

    Example:
        >>> law_of(law="uniform", mean=1.0, seed=0, most=4).thresholds
        (0.3333333333333333, 0.6666666666666666)
        >>> law_of(law="geometric", mean=1.0, seed=0, most=3).thresholds
        (0.5, 0.75, 0.875)
        >>> law_of(law="constant", mean=3.0, seed=0, most=2).thresholds
        (0.0, 0.0)
    """
    name = f"{law}, mean {mean:g}, cut off at {most}"
    if law == "geometric":
        stays = mean / (1 + mean)
        return Law(tuple(1 - stays ** (k + 1) for k in range(most)), seed, name)
    last = round(2 * mean) if law == "uniform" else round(mean)
    shares = np.arange(1, last + 1) / (last + 1) if law == "uniform" else [0.0] * last
    return Law(tuple(map(float, shares[:most])), seed, name)
