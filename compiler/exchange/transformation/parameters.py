"""Exchanges of parameters: they go after the optimizer, and stand in no chain.

    updates, b = optimizer.update(gradients, b, params)
    params = optax.apply_updates(params, updates)
    params, c = exchange.update(params, c)

`init` and `update` take parameters; `update` returns parameters. The members' differ,
so they are kept sharded over the axis. Of two nested exchanges the inner one does not
learn where the outer one put the copies; where anchors matter (a rounding codec, an
outer step with momentum), compile a scheme instead.
"""

from collections.abc import Iterable
from typing import Never

import optax

from diamond.compiler.exchange.transformation.transform import (
    Terms,
    check_averages,
    transformation,
)
from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import scheme as families

_STREAMS = "all parameters meet at one update"
_OF_A_SCHEME = {
    "fragments": _STREAMS,
    "delay": _STREAMS,
    "merge": _STREAMS,
    "state": "the optimizer's state is not seen",
}
_NONE, _ALLREDUCE, _AVERAGE = words.NoCompression(), words.AllReduce(), words.Average()


def local(
    axis: str,
    *,
    every: int,
    outer: words.Average | words.Nesterov | words.SlowMo | words.Bmuf = _AVERAGE,
    compression: families.Compression = _NONE,
    centralization: families.Centralization = _ALLREDUCE,
    size: int | None = None,
    **others: Never,
) -> optax.GradientTransformationExtraArgs:
    """Lets copies take `every` steps alone, then makes them meet.

    Args:
        axis: Name of a manual mesh axis.
        every: Updates between two meetings.
        outer: What the copies do when they meet.
        compression: Form of the values on the wire.
        centralization: How all members get the mean, an `AllReduce`.
        size: Members along the axis; looked up where not given.
        others: None. What a scheme's `local` takes besides needs a scheme: `fragments`,
            `delay` and `merge`, since here all parameters meet at one update, and
            `state`, since an exchange does not see the optimizer's.

    Raises:
        ValueError: Under a parameter server or a gossip, and if the language refuses
            the terms together.
        TypeError: If there are `others`.

    Example:
        >>> exchange = local("site", every=50, outer=words.Nesterov(lr=0.7))
    """
    _check_no_others(others)
    check_averages(centralization)
    rule = words.Local(every=every, outer=outer)
    return transformation(Terms(axis, rule, compression, centralization, size))


def elastic(
    axis: str,
    *,
    every: int = 10,
    rho: float = 0.9,
    compression: families.Compression = _NONE,
    size: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Lets copies and a centre pull at each other every few updates (EASGD).

    The centre is `state.rule.centre`, a list of leaves, equal on all members.

    Args:
        axis: Name of a manual mesh axis.
        every: Updates between two pulls.
        rho: Total pull on the centre.
        compression: Form of the values on the wire.
        size: Members along the axis; looked up where not given.

    Example:
        >>> exchange = elastic("site", every=4, rho=0.8)
    """
    rule = words.Elastic(every, rho)
    return transformation(Terms(axis, rule, compression, _ALLREDUCE, size))


def gossip(
    axis: str,
    *,
    every: int = 1,
    topology: str = "exponential",
    push_sum: bool = False,
    compression: families.Compression = _NONE,
    size: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Mixes each copy's parameters with its neighbours' every few updates.

    Args:
        axis: Name of a manual mesh axis.
        every: Updates between two mixings.
        topology: Who the neighbours are: `ring`, `exponential`, `hypercube`,
            `complete`, `pairs` or `chain`.
        push_sum: Carry weights along, for topologies that are not even (`chain`).
        compression: Form of the parameters on the wire, one without feedback whose
            messages are decoded each by itself.
        size: Members along the axis; looked up where not given.

    Raises:
        ValueError: If the language refuses the terms together.

    Example:
        >>> exchange = gossip("site", topology="ring")
    """
    rule = words.Synchronous() if every == 1 else words.Local(every=every)
    who = words.Gossip(topology, push_sum)
    return transformation(Terms(axis, rule, compression, who, size))


def _check_no_others(names: Iterable[str]) -> None:
    for name in names:
        if name not in _OF_A_SCHEME:
            raise TypeError(f"`local` got an unexpected keyword argument `{name}`")
        raise TypeError(
            f"`{name}` needs a whole scheme: in an exchange alone "
            f"{_OF_A_SCHEME[name]}; use `diamond.compile` with "
            f"`diamond.Local(every=..., {name}=...)`"
        )
