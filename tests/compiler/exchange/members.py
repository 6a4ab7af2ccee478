"""Running a part of an exchange over the members of one axis, without a program."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec

from diamond.compiler.exchange.wire import Wire, mesh_wire

AXIS = "host"


def over_members(function: Callable[..., Any], *stacked: Any) -> Any:
    """Runs (wire, this member's arguments) -> result on every member.

    Args:
        function: Takes a wire and trees of arrays, returns a tree of arrays.
        stacked: Trees whose arrays have the members as their first dim.

    Returns:
        The results, with the members as their first dim.
    """
    size = jax.tree.leaves(stacked)[0].shape[0]
    mesh = Mesh(jax.devices()[:size], (AXIS,))
    wire: Wire = mesh_wire(AXIS, size)

    def body(*trees: Any) -> Any:
        mine = jax.tree.map(lambda leaf: leaf[0], trees)
        return jax.tree.map(lambda leaf: leaf[None], function(wire, *mine))

    spec = PartitionSpec(AXIS)
    mapped = jax.shard_map(
        body, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
    )
    return jax.tree.map(jax.numpy.asarray, jax.jit(mapped)(*stacked))
