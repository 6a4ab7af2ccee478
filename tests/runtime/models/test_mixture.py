"""A mixture of experts against one that is written out expert by expert."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diamond.dsl.vocabulary import Expert, Mlp, Transformer
from diamond.runtime.models import functional, module_factory
from diamond.runtime.models.layers import randomize
from diamond.runtime.models.mixture import Mixture, MixtureModule
from diamond.runtime.models.outputs import with_notes, with_penalty

TERM = Transformer(layers=2, width=8, heads=2, context=6, expansion=2.0)
# Room for every token at every expert.
ROOMY = Expert(experts=4, top_k=2, capacity=2.0, balance=0.5)
X = np.random.default_rng(0).standard_normal((3, 6, 8)).astype(np.float32)


def _mixture(experts: Expert, term: Transformer = TERM) -> Mixture:
    return randomize(Mixture(term, experts), nnx.Rngs(0))


def _written_out(mixture: Mixture, x: np.ndarray) -> np.ndarray:
    """Computes all experts for all tokens, and weighs those that were chosen."""
    top_k = mixture.experts.top_k
    scores = x @ np.asarray(mixture.router.kernel[...])
    probabilities = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    order = np.argsort(-probabilities, axis=-1)
    weights = np.where(np.argsort(order, axis=-1) < top_k, probabilities, 0.0)
    if top_k > 1:
        weights /= weights.sum(-1, keepdims=True)
    total = np.zeros_like(x)
    for number in range(mixture.experts.experts):
        up = np.asarray(mixture.up[...])[number]
        parts = np.einsum("btw,wgh->btgh", x, up)
        gate = parts[..., 0, :]
        hidden = (
            gate / (1 + np.exp(-gate)) * parts[..., 1, :]
            if mixture.gated
            else np.asarray(jax.nn.gelu(gate))
        )
        made = hidden @ np.asarray(mixture.down[...])[number]
        total += weights[..., number : number + 1] * made
    return total


@pytest.mark.parametrize("top_k", [1, 2, 4])
@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
def test_with_room_for_all_it_is_all_experts_weighed(top_k: int, mlp: str) -> None:
    experts = dataclasses.replace(ROOMY, top_k=top_k, capacity=4 / top_k)
    mixture = _mixture(experts, dataclasses.replace(TERM, mlp=mlp))
    found, routed = mixture(jnp.asarray(X))
    np.testing.assert_allclose(found, _written_out(mixture, X), atol=1e-5)
    assert routed.dropped.tolist() == [0.0] * 3


def test_what_finds_no_room_adds_nothing() -> None:
    mixture = _mixture(dataclasses.replace(ROOMY, top_k=1, capacity=0.5))
    # A router for which every token's first feature names expert 0, all 18 of them.
    mixture.router.kernel[...] = jnp.zeros((8, 4)).at[0, 0].set(1.0)
    x = np.abs(X) + 1
    found, routed = mixture(jnp.asarray(x))
    room = 3  # of 0.5 x 18 / 4
    np.testing.assert_allclose(
        found.reshape(18, 8)[:room],
        _written_out(mixture, x).reshape(18, 8)[:room],
        rtol=1e-5,
        atol=1e-6,
    )
    assert not np.asarray(found).reshape(18, 8)[room:].any()
    np.testing.assert_allclose(routed.dropped, [3 / 6, 1, 1])


def test_an_even_router_has_an_imbalance_of_one() -> None:
    mixture = _mixture(ROOMY)
    mixture.router.kernel[...] = jnp.zeros((8, 4))
    assert float(mixture(jnp.asarray(X))[1].imbalance) == pytest.approx(1.0)


def _model(experts: Expert):
    factory = module_factory(TERM, (6,), 16, tokens=True, experts=experts)
    model = functional(factory)
    return model, model.init(jax.random.key(0))


TOKENS = np.random.default_rng(1).integers(0, 16, (5, 6))


def test_the_penalty_is_the_mean_over_layers() -> None:
    model, params = _model(ROOMY)
    for block in params["blocks"].values():
        block["mlp"]["router"]["kernel"] *= 0
    assert float(with_penalty(model, params, TOKENS)[1]) == pytest.approx(0.5)
    skewed, _ = _model(ROOMY)
    params = skewed.init(jax.random.key(0))
    module = skewed.merge(params)
    _, routed = module.routed(TOKENS)
    found = []
    x = module.enter(TOKENS)
    for block in module.blocks:
        x, mine = block(x)
        found.append(float(mine.imbalance))
    assert found[0] != found[1]
    assert float(routed.imbalance) == pytest.approx(sum(found) / 2)


def test_the_router_learns_from_both_losses() -> None:
    model, params = _model(ROOMY)

    def penalty(params):
        return with_penalty(model, params, TOKENS)[1]

    def outputs(params):
        return jnp.sum(with_penalty(model, params, TOKENS)[0][..., 0])

    for loss in (penalty, outputs):
        gradient = jax.grad(loss)(params)["blocks"]["0"]["mlp"]["router"]["kernel"]
        assert float(jnp.abs(gradient).max()) > 1e-6


def test_an_example_is_measured_without_its_company() -> None:
    model, params = _model(dataclasses.replace(ROOMY, capacity=0.75))
    outputs, notes = with_notes(model, params, TOKENS)
    alone, mine = with_notes(model, params, TOKENS[2:3])
    np.testing.assert_allclose(outputs[2], alone[0], atol=1e-6)
    assert notes["dropped"].shape == (5,)
    assert float(notes["dropped"][2]) == pytest.approx(float(mine["dropped"][0]))
    assert float(notes["dropped"].mean()) > 0.1


def test_a_later_token_changes_nothing() -> None:
    model, params = _model(dataclasses.replace(ROOMY, capacity=0.75))
    other = TOKENS.copy()
    other[:, 4:] = (other[:, 4:] + 1) % 16
    before, after = (with_notes(model, params, rows)[0] for rows in (TOKENS, other))
    np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert not np.allclose(before[:, 4:], after[:, 4:])


def test_a_model_without_experts_says_nothing_beside() -> None:
    model = functional(module_factory(TERM, (6,), 16, tokens=True))
    params = model.init(jax.random.key(0))
    assert with_penalty(model, params, TOKENS)[1] is None
    assert with_notes(model, params, TOKENS)[1] == {}


def test_its_call_gives_the_logits() -> None:
    model, params = _model(ROOMY)
    module = model.merge(params)
    assert isinstance(module, MixtureModule)
    np.testing.assert_array_equal(module(TOKENS), module.routed(TOKENS)[0])


def test_other_models_have_no_experts() -> None:
    with pytest.raises(ValueError, match="layers of a `transformer`"):
        module_factory(Mlp(), (4,), 2, experts=ROOMY)
