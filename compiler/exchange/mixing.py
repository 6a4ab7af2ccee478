"""One mixing of a vector with the neighbours', exact or in a codec's form."""

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.coded import exact_mean, mean_of_decoded
from diamond.compiler.exchange.contract import Codec
from diamond.compiler.exchange.topologies import Round
from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Pairs


def mixed(value: jax.Array, mixing: Round, wire: Wire) -> jax.Array:
    """Returns w_ii x_i + sum_j w_ij x_j, one's own first, of any shape.

    Example:
        >>> from diamond.compiler.exchange.topologies import rounds_of
        >>> from diamond.compiler.exchange.wire import Tape
        >>> tape = Tape()
        >>> value = mixed(jnp.ones(3), rounds_of("ring", 4)[0], tape.wire("host", 4))
        >>> [message.elements for message in tape.messages]
        [3, 3]
    """
    if mixing.is_mean:
        mean: jax.Array = exact_mean([value], wire)[0]
        return mean
    total = value * _mine(mixing.own, value, wire)
    for hop in mixing.hops:
        heard = wire.send(value, hop.pairs)
        total = total + heard * _mine(hop.weights, value, wire)
    return total


def mixed_codes(
    vector: jax.Array, codec: Codec, key: jax.Array, mixing: Round, wire: Wire
) -> jax.Array:
    """Returns x_i + sum_j w_ij C(x_j) - (1 - w_ii) C(x_i), which conserves the mean."""
    payload = codec.encode(vector, key)
    own = codec.decode(payload, vector.dtype)
    if mixing.is_mean:
        everyone = jax.tree.map(wire.gather, payload)
        return vector + mean_of_decoded(everyone, wire.size, codec, vector.dtype) - own
    total = vector
    for hop in mixing.hops:
        heard = codec.decode(_heard(payload, hop.pairs, wire), vector.dtype)
        total = total + heard * _mine(hop.weights, vector, wire)
    given = tuple(1 - kept for kept in mixing.own)
    return total - own * _mine(given, vector, wire)


def _heard(payload: object, pairs: Pairs, wire: Wire) -> object:
    return jax.tree.map(lambda part: wire.send(part, pairs), payload)


def _mine(weights: tuple[float, ...], like: jax.Array, wire: Wire) -> jax.Array | float:
    """Returns this member's weight; a constant where all members have the same."""
    if len(set(weights)) == 1:
        return weights[0]
    return jnp.asarray(weights, like.dtype)[wire.place()]
