"""The transformer whose feed-forward layers are mixtures of experts.

What is routed where, and what crosses between devices, is that of
`compiler/parallelism/expert.py`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from diamond.compiler.parallelism.expert import (
    EXPERT,
    Seats,
    capacity_of,
    imbalance,
    seats_of,
)
from diamond.compiler.parallelism.remat import recomputed
from diamond.compiler.parallelism.spread import WHOLE, Spread
from diamond.dsl.vocabulary.parallelism import Expert
from diamond.dsl.vocabulary.training import Transformer
from diamond.runtime.models.layers import Dense, weight
from diamond.runtime.models.transformer import Ends, Half


class Routed(NamedTuple):
    """How tokens were routed.

    Attributes:
        imbalance: 1 where the router is even, more where it is not: a scalar.
        dropped: Share of each example's choices that found no room, `[examples]`.
    """

    imbalance: jax.Array
    dropped: jax.Array


class Mixture(nnx.Module):
    """A router and its experts, each a feed-forward layer: `swiglu` or `gelu`."""

    def __init__(
        self, term: Transformer, experts: Expert, spread: Spread = WHOLE
    ) -> None:
        self.experts = experts
        self.gated = term.mlp == "swiglu"
        width, hidden = term.width, max(1, round(term.width * term.expansion))
        here = spread.cut(EXPERT, experts.experts)
        units = spread.cut("mlp", hidden)
        self.group = spread.expert
        self.tensor = spread.tensor if units != hidden else None
        self.router = Dense(
            (width,),
            (experts.experts,),
            ("embed", "router"),
            std=1 / math.sqrt(width),
            bias=False,
            wide=True,
        )
        self.up = weight(
            (here, width, 1 + self.gated, units),
            1 / math.sqrt(width),
            (EXPERT, "embed", "gate", "mlp"),
        )
        self.down = weight(
            (here, units, width),
            1 / math.sqrt(2 * term.layers * hidden),
            (EXPERT, "mlp", "embed"),
        )

    def __call__(self, x: jax.Array) -> tuple[jax.Array, Routed]:
        """Maps `[examples, tokens, width]` to the same shape, routed together."""
        tokens, top_k = x.reshape(-1, x.shape[-1]), self.experts.top_k
        logits = self.router(tokens)
        wide = jnp.promote_types(logits.dtype, jnp.float32)
        probabilities = jax.nn.softmax(logits.astype(wide), axis=-1)
        weights, chosen = jax.lax.top_k(probabilities, top_k)
        if top_k > 1:
            weights = weights / jnp.sum(weights, axis=1, keepdims=True)
        room = capacity_of(self.experts, len(tokens))
        seats = seats_of(chosen, self.experts.experts, room)
        mixed = self._mixed(tokens, weights.astype(x.dtype), seats)
        dropped = 1 - seats.is_seated.reshape(len(x), -1).mean(axis=1, dtype=wide)
        routed = Routed(imbalance(probabilities, chosen), dropped)
        return mixed.reshape(x.shape), routed

    def _mixed(self, tokens: jax.Array, weights: jax.Array, seats: Seats) -> jax.Array:
        """Sends tokens to their experts, and adds up what comes back.

        On a tensor axis all of it happens to parts of sums, which are added up when
        there are fewest of them: one a token.
        """
        if self.tensor is not None:
            tokens, weights = self.tensor.enter(tokens), self.tensor.enter(weights)
        seated = seats.dispatch(tokens)
        if self.group is None:
            made = self._experts(seated)
        else:
            made = self.group.give_back(self._experts(self.group.send(seated)))
        mixed = seats.combine(made, weights)
        return mixed if self.tensor is None else self.tensor.leave(mixed)

    def _experts(self, x: jax.Array) -> jax.Array:
        """Maps `[experts here, seats, width]` to the same shape."""
        experts, width, gates, units = self.up.shape
        kernel = self.up[...].reshape(experts, width, gates * units)
        up = jnp.einsum("esw,ewh->esh", x, kernel)
        if self.gated:
            gate, up = jnp.split(up, 2, axis=-1)
            hidden = jax.nn.silu(gate) * up
        else:
            hidden = jax.nn.gelu(up)
        return jnp.einsum("esh,ehw->esw", hidden, self.down[...])


class MixtureBlock(Half):
    """x + attention(norm(x)), then x + mixture(norm(x))."""

    def __init__(
        self, term: Transformer, experts: Expert, spread: Spread = WHOLE
    ) -> None:
        super().__init__(term, spread)
        self.mlp = Mixture(term, experts, spread)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, Routed]:
        """Maps `[examples, tokens, width]` to the same shape."""
        x = self.attend(x)
        mixed, routed = self.mlp(self.mlp_norm(x))
        return x + mixed, routed


class MixtureModule(Ends):
    """Tokens `[examples, tokens]` to logits `[examples, tokens, vocabulary]`.

    Tokens that it is called with are routed together. Cut up over an expert axis, it
    holds some experts of each layer; for the rest it is cut like `TransformerModule`.
    """

    def __init__(
        self,
        term: Transformer,
        experts: Expert,
        vocab: int,
        spread: Spread = WHOLE,
        *,
        remat: str = "none",
    ) -> None:
        super().__init__(term, vocab, spread)
        self.remat, self.experts = remat, experts
        blocks = (MixtureBlock(term, experts, spread) for _ in range(term.layers))
        self.blocks = nnx.List(blocks)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Returns the logits of the token after each one."""
        return self.routed(tokens)[0]

    def routed(self, tokens: jax.Array) -> tuple[jax.Array, Routed]:
        """Returns the logits, and how tokens were routed: the mean over the layers."""
        x, found = self.enter(tokens), []
        for block in self.blocks:
            x, routed = recomputed(block, self.remat)(x)
            found.append(routed)
        mean = jax.tree.map(lambda *each: jnp.mean(jnp.stack(each), axis=0), *found)
        return self.leave(x), mean
