"""Two phases: each member adds up one chunk of everyone's, and sends it to all.

    y[j] = v_0[j] + v_1[j] + ... + v_(N-1)[j]  at member j,  then gathered

Bill, for n bytes: 2n(N-1)/N, in one all-to-all and one all-gather.
Limits: N = 1 is the identity. Values are added in the members' order, so the last bit
is well defined, which that of an all-reduce of XLA is not.

References: R. Thakur, R. Rabenseifner, W. Gropp, Optimization of Collective
Communication Operations in MPICH, IJHPCA 2005.
"""

import functools

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.wire import Wire


def two_phase_sum(vector: jax.Array, wire: Wire) -> jax.Array:
    """Returns the sum over the members, `[n]`, of vectors that N divides.

    Args:
        vector: `[n]`, this member's.
        wire: The axis.

    Example:
        >>> from diamond.compiler.exchange.wire import Tape
        >>> tape = Tape()
        >>> two_phase_sum(jnp.ones(8), tape.wire("host", 4)).shape
        (8,)
        >>> [(message.kind, message.elements) for message in tape.messages]
        [('all-to-all', 8), ('all-gather', 2)]
    """
    chunks = wire.swap(vector.reshape(wire.size, -1))
    return wire.gather(functools.reduce(jnp.add, chunks)).reshape(-1)
