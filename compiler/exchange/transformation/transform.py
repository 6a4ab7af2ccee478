"""From an axis and the terms of a scheme to an `optax.GradientTransformation`.

A transformation is used inside `jax.shard_map`, where the axis is manual, with
`check_vma=False` (jax cannot see that a gathered mean is equal on all devices). `init`
belongs inside too, or outside with `size` given. What a device keeps differs from
device to device, so the state is kept sharded over the axis.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from diamond.compiler.exchange.contract import Leaves, Mixer, Rule, State, Tree
from diamond.compiler.exchange.site import Site
from diamond.compiler.exchange.tables import is_exact, mixer_of, rule_of
from diamond.compiler.exchange.transformation.legal import (
    axis_size,
    check_steady,
    one_axis,
    refuse,
)
from diamond.compiler.exchange.wire import mesh_wire
from diamond.compiler.plan import TensorSpec
from diamond.dsl import vocabulary as words
from diamond.dsl.legality import legality, of_tensors
from diamond.dsl.vocabulary import scheme as families


class ExchangeState(NamedTuple):
    """State of one exchange on one device.

    Attributes:
        updates: `int32[]`, updates so far.
        rule: The rule's state, such as an anchor; leaves like the parameters'.
        mixer: What codecs lost; `[n]`, this device's own.
    """

    updates: jax.Array
    rule: State
    mixer: State


class LookingBack(optax.GradientTransformationExtraArgs):  # type: ignore[misc]
    """A transformation of gradients that are to be taken at other parameters.

    Attributes:
        view: (parameters, state) -> where the gradient is taken.
    """

    view: Callable[[Tree, ExchangeState], Tree]

    def __new__(cls, init: Any, update: Any, view: Any) -> "LookingBack":
        """Makes a pair like optax's own, so that it may stand in a chain."""
        made: LookingBack = super().__new__(cls, init, update)
        made.view = view
        return made


class Terms(NamedTuple):
    """How the members along an axis agree, as in a scheme, and what follows.

    Attributes:
        axis: Name of a manual mesh axis.
        consistency: What is exchanged, and when.
        compression: Form of the values on the wire.
        centralization: Who talks to whom.
        size: Members along the axis; looked up where None.
    """

    axis: str
    consistency: families.Consistency
    compression: families.Compression
    centralization: families.Centralization
    size: int | None

    def scheme(self, size: int | None) -> words.Scheme:
        """Returns the scheme of this axis alone."""
        return one_axis(
            self.axis, size, self.consistency, self.compression, self.centralization
        )

    def init(self, params: Tree) -> ExchangeState:
        """Returns a device's state before the first update."""
        rule, mixer = self._pair_for(params)
        leaves = jax.tree.leaves(params)
        return ExchangeState(
            jnp.int32(0), rule.init(leaves, leaves), mixer.init(leaves)
        )

    def update(
        self, values: Tree, state: ExchangeState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, ExchangeState]:
        """Exchanges gradients or parameters, where that is due."""
        del extra
        pair = self._pair_for(values)
        _check_params(pair.rule, params)
        self._check_size()
        leaves, tree = jax.tree.flatten(values)
        x = leaves if params is None else jax.tree.leaves(params)
        updates = state.updates + 1
        leaves, state = _exchanged(leaves, state, pair, x, updates)
        return jax.tree.unflatten(tree, leaves), state._replace(updates=updates)

    def view(self, params: Tree, state: ExchangeState) -> Tree:
        """Returns where the gradient is taken."""
        rule, _ = self._pair_for(params)
        leaves, tree = jax.tree.flatten(params)
        seen = leaves if rule.view is None else rule.view(leaves, state.rule)
        return jax.tree.unflatten(tree, seen)

    def _check_size(self) -> None:
        found = axis_size(self.axis)
        if self.size not in (None, found):
            raise ValueError(
                f"`size = {self.size}`, but axis `{self.axis}` has {found} members: "
                f"leave `size` out, or give {found}"
            )

    def _check_place(self, size: int, tensors: tuple[TensorSpec, ...]) -> None:
        scheme = self.scheme(size)
        refuse(legality(scheme))
        refuse(of_tensors(scheme, [tensor.path for tensor in tensors]))

    def _pair_for(self, tree: Tree) -> "_Pair":
        size = self.size or axis_size(self.axis)
        site = Site(mesh_wire(self.axis, size), tensors_of(tree))
        self._check_place(size, site.tensors)
        exact = is_exact(self.compression, self.centralization)
        mixer = mixer_of(self.centralization, self.compression, site)
        rule = rule_of(self.consistency, self.centralization, site, is_exact=exact)
        return _Pair(rule, mixer)


def checked(terms: Terms) -> Terms:
    """Returns terms that the language allows and an exchange alone can follow.

    Raises:
        ValueError: With the rule's code, its reason and the way out.
        TypeError: If one of them is no such term.

    Example:
        >>> rule, codec, who = words.Local(1), words.Sign(), words.Gossip()
        >>> checked(Terms("site", rule, codec, who, size=None))
        Traceback (most recent call last):
        ValueError: D055: `sign` over `site` does not go with `gossip`: ...
    """
    scheme = terms.scheme(terms.size)
    refuse(legality(scheme))
    check_steady(scheme.replicas[0])
    return terms


def transformation(terms: Terms) -> optax.GradientTransformationExtraArgs:
    """Returns the transformation of values at one point; see `checked`."""
    terms = checked(terms)
    return optax.GradientTransformationExtraArgs(terms.init, terms.update)


def looking_back(terms: Terms) -> LookingBack:
    """Returns the transformation of gradients that are taken elsewhere."""
    terms = checked(terms)
    return LookingBack(terms.init, terms.update, terms.view)


def check_averages(centralization: families.Centralization) -> None:
    """Refuses what does not turn values into their mean on every member.

    Raises:
        ValueError: Under a parameter server or a gossip.
    """
    if isinstance(centralization, words.ParameterServer):
        raise ValueError(
            "a parameter server runs the optimizer itself, so that it is no "
            "transformation of gradients: compile a scheme instead"
        )
    if isinstance(centralization, words.Gossip):
        raise ValueError(
            "a gossip forms no mean, it mixes parameters: use `exchange.gossip` after "
            "the optimizer"
        )


def tensors_of(tree: Tree) -> tuple[TensorSpec, ...]:
    """Returns paths, shapes and element types of a tree's leaves."""
    named = jax.tree_util.tree_flatten_with_path(tree)[0]
    return tuple(
        TensorSpec(
            jax.tree_util.keystr(path, simple=True, separator="/"),
            tuple(leaf.shape),
            str(leaf.dtype),
        )
        for path, leaf in named
    )


class _Pair(NamedTuple):
    rule: Rule
    mixer: Mixer


def _check_params(rule: Rule, params: Tree) -> None:
    if rule.subject == "parameters" and params is not None:
        raise ValueError(
            "this exchange takes and returns parameters, so it cannot stand in "
            "`optax.chain`: apply the updates, then call "
            "`params, state = exchange.update(params, state)`"
        )
    if rule.view is not None and params is None:
        raise ValueError(
            "this exchange keeps the parameters of past steps: call "
            "`gradients, state = exchange.update(gradients, state, params)`"
        )


def _exchanged(
    leaves: Leaves, state: ExchangeState, pair: _Pair, x: Leaves, updates: jax.Array
) -> tuple[Leaves, ExchangeState]:
    every = pair.rule.every
    meet = _meeting(pair, x, updates // every - 1)
    if every == 1:
        return meet(leaves, state)
    return jax.lax.cond(  # type: ignore[no-any-return]
        updates % every == 0,
        meet,
        lambda leaves, state: (leaves, state),
        leaves,
        state,
    )


def _meeting(
    pair: _Pair, x: Leaves, count: jax.Array
) -> Callable[[Leaves, ExchangeState], tuple[Leaves, ExchangeState]]:
    """Returns what happens at an exchange, given how many there were before."""
    turns = pair.mixer.turns
    kinds = tuple(dict.fromkeys(turns))
    branches = [partial(_meet, pair=pair, x=x, turn=turn) for turn in kinds]
    if len(branches) == 1:
        return branches[0]
    order = jnp.array([kinds.index(turn) for turn in turns])
    return lambda leaves, state: jax.lax.switch(
        order[count % len(turns)], branches, leaves, state
    )


def _meet(
    leaves: Leaves, state: ExchangeState, *, pair: _Pair, x: Leaves, turn: int
) -> tuple[Leaves, ExchangeState]:
    rule, mixer = pair
    mean, mixed = mixer.mean(rule.offer(leaves, x, state.rule), state.mixer, turn)
    leaves, kept = rule.accept(leaves, mean, x, state.rule)
    return leaves, ExchangeState(state.updates, rule.rebase(leaves, kept), mixed)
