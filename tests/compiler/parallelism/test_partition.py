"""A model of the caller's own, whose layers XLA cuts over a tensor axis."""

import functools
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

import diamond
from diamond.compiler.certify import CertificateError, certify
from diamond.compiler.compat import make_mesh
from diamond.compiler.parallelism.partition import Partition
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.compiler.program import Program
from diamond.compiler.variants import variants_of
from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.vocabulary import (
    Asynchronous,
    Digits,
    Ensemble,
    Int8,
    Local,
    MeanSquaredError,
    Scheme,
    Shard,
    Zero,
)
from diamond.dsl.vocabulary import Mlp as BuiltIn
from tests.modules import (
    RULES,
    Decoder,
    Mlp,
    Own,
    hold,
    next_tokens,
    numbers_at,
    own_scheme,
    squares,
    tokens_at,
)

SYNCHRONOUS: dict[str, Any] = {}
LOCAL = {"consistency": Local(every=2), "compression": Int8()}
OLD = {"consistency": Asynchronous(max_staleness=2)}

OWN = {
    "mlp by rules": Own(Mlp, squares, numbers_at, RULES[:3]),
    "mlp by metadata": Own(functools.partial(Mlp, named=True), squares, numbers_at, ()),
    "attention by rules": Own(Decoder, next_tokens, tokens_at, RULES),
    "attention by metadata": Own(
        functools.partial(Decoder, named=True), next_tokens, tokens_at, ()
    ),
}


@pytest.fixture(autouse=True)
def _in_fp64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield
    jax.clear_caches()


def compiled(own: Own, devices: int, *outer: Any, **train: Any) -> Program:
    scheme = own_scheme(devices, *outer, rules=own.rules, **train)
    return diamond.compile(
        scheme, model=own.model, loss=own.loss, batch=own.batch_at(0)
    )


@pytest.mark.parametrize(
    ("name", "devices", "outer"),
    [
        ("mlp by rules", 4, ()),
        ("mlp by rules", 4, (("site", 2, SYNCHRONOUS),)),
        ("mlp by rules", 2, (("site", 2, OLD), ("host", 2, SYNCHRONOUS))),
        ("mlp by metadata", 2, (("site", 2, LOCAL),)),
        ("attention by metadata", 2, (("site", 2, SYNCHRONOUS),)),
        pytest.param(
            "attention by rules", 4, (("site", 2, LOCAL),), marks=pytest.mark.slow
        ),
    ],
)
def test_it_trains_as_the_whole_model_does(
    name: str, devices: int, outer: tuple[Any, ...]
) -> None:
    own = OWN[name]
    program = compiled(own, devices, *outer)
    certificate = hold(program, own)
    assert {row.axis for row in certificate.rows} == {axis for axis, *_ in outer}
    assert {row.axis for row in certificate.chosen} == {"chip"}
    assert all(row.exchange == "chip.tensor" for row in certificate.chosen)
    assert "counted, not certified" in str(certificate)


def test_microbatches_are_added_up() -> None:
    own = OWN["mlp by rules"]
    hold(compiled(own, 2, ("site", 2, SYNCHRONOUS), accumulate=2), own)


def test_members_of_an_ensemble_are_cut_up() -> None:
    own = OWN["mlp by rules"]
    own = own._replace(loss=None)
    loss = MeanSquaredError()
    program = compiled(own, 2, ("seat", 2, Ensemble()), loss=loss)
    assert not hold(program, own).rows


def test_only_cuts_are_kept_and_only_cuts_cross() -> None:
    own = OWN["mlp by rules"]
    program = compiled(own, 4, ("site", 2, SYNCHRONOUS))
    state = program.init(jax.random.key(0))
    kernel = state.params["up"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(8, 4)}
    cut = (8 * 16 + 16 + 16 * 8) // 4 + 8
    [row] = program.certify().rows
    assert (row.exchange, row.elements) == ("site.gradients", cut)
    [due] = variants_of(program.plan)
    memory = program.executables.step(due).memory_analysis()
    share = 2 * 4 * 8  # half of the batch
    assert memory.argument_size_in_bytes == 8 * (2 * cut + share)


def test_what_crosses_is_what_tensor_parallelism_is_known_to_send() -> None:
    """Of two pairs of layers: a sum of each one's output, and of one's gradient."""

    class Two(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.one, self.two = Mlp(rngs), Mlp(rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.two(self.one(x))

    own = OWN["mlp by rules"]._replace(model=Two)
    program = compiled(own, 4, ("site", 2, SYNCHRONOUS))
    [row] = program.certify().chosen
    assert (row.kind, row.dtype, row.elements) == ("all-reduce", "f64", 3 * 4 * 8)


class Altered:
    """A compiled program whose text was changed."""

    def __init__(self, program: Any, old: str, new: str) -> None:
        self.program, self.text = program, program.as_text()
        assert re.search(old, self.text)
        self.text = re.sub(old, new, self.text)

    def as_text(self) -> str:
        return self.text

    def memory_analysis(self) -> Any:
        return self.program.memory_analysis()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            r"replica_groups=[^\n]*?(?=, use_global[^\n]*chip\.tensor)",
            "replica_groups={{0,4},{1,5},{2,6},{3,7}}",
        ),
        ("diamond:chip.tensor", "diamond:site.tensor"),
    ],
)
def test_what_the_partitioner_sends_elsewhere_is_an_error(old: str, new: str) -> None:
    plan_of = compiled(OWN["mlp by rules"], 4, ("site", 2, SYNCHRONOUS))
    [due] = variants_of(plan_of.plan)
    altered = Altered(plan_of.executables.step(due), old, new)
    with pytest.raises(CertificateError, match="tensor"):
        certify(plan_of.plan, {due: [altered]})


def test_the_plan_says_who_chooses() -> None:
    program = compiled(OWN["mlp by rules"], 2)
    [flow] = program.plan.flows
    assert (flow.name, flow.messages, flow.by_partitioner) == ("chip.tensor", (), True)
    assert read_plan(print_plan(program.plan)) == program.plan
    text = program.explain()
    assert "the choice of XLA's partitioner" in text
    assert "chip  the partitioner's choice" in text


def test_a_model_that_was_made_before_keeps_its_names() -> None:
    with nnx.use_eager_sharding(False):
        model = Mlp(nnx.Rngs(0), named=True)
    own = OWN["mlp by metadata"]._replace(model=model)
    tensors = {each.path: each for each in compiled(own, 2).plan.tensors}
    assert tensors["up/kernel"].dims == ("none", "mlp")
    assert tensors["up/kernel"].cuts == ((), ("chip",))
    assert tensors["down/bias"].cuts == ()


def test_cuts_go_in_and_come_out_whatever_lies_around_them() -> None:
    mesh = make_mesh((2, 4), ("site", "chip"), jax.devices()[:8])
    cut = PartitionSpec(None, "chip")
    partition = Partition("chip", (cut,), "chip.tensor")
    sites = PartitionSpec("site")

    def body(params: Any, batch: jax.Array) -> tuple[jax.Array, Any]:
        return batch, jax.tree.map(lambda leaf: leaf[None] * 2, params)

    run = partition.apart(body, mesh, (PartitionSpec(), sites), (sites, sites))
    _, made = jax.jit(run)({"w": np.ones((8, 8))}, np.ones((2, 1)))
    assert {shard.data.shape for shard in made["w"].addressable_shards} == {(1, 8, 2)}


def test_a_loss_of_ones_own_for_a_model_of_the_language() -> None:
    scheme = own_scheme(2, ("site", 2, SYNCHRONOUS))
    scheme = Scheme(
        "own",
        BuiltIn(width=8, layers=1),
        Digits(batch=8),
        scheme.train,
        scheme.mesh,
        parallelism=scheme.parallelism,
        replicas=scheme.replicas,
    )

    def loss(model: Any, batch: Any) -> jax.Array:
        each = optax.softmax_cross_entropy_with_integer_labels
        return each(model(batch["x"]), batch["y"]).mean()

    program = diamond.compile(scheme, loss=loss)
    own = Own(None, loss, diamond.open_data(scheme).batch_at, ())
    hold(program, own)
    assert any(tensor.cuts for tensor in program.plan.tensors)


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ((Shard("*/weight", ("embed", "mlp")),), "D107"),
        ((), "D107"),
        ((Shard("*", ("embed", "mlp")),), "D108"),
        ((Shard("up/kernel", ("heads", "mlp")),), "D108"),
        ((Shard("up/kernel", ("embed", "hidden")),), "D106"),
    ],
)
def test_names_that_do_not_fit_are_refused(rules: Any, code: str) -> None:
    own = OWN["mlp by rules"]._replace(rules=rules)
    with pytest.raises(SchemeError) as refusal:
        compiled(own, 2)
    assert {one.code for one in refusal.value.diagnostics} == {code}


def test_a_dim_that_does_not_divide_is_refused_with_the_numbers() -> None:
    own = OWN["mlp by metadata"]
    with pytest.raises(SchemeError) as refusal:
        compiled(own, 3)
    messages = [one.message for one in refusal.value.diagnostics]
    assert {one.code for one in refusal.value.diagnostics} == {"D109"}
    assert any("(8, 16), over 3 devices, and 16 is no" in text for text in messages)


def test_what_is_written_out_does_not_stand_beside() -> None:
    with pytest.raises(ValueError, match=r"`zero over host` is written out"):
        compiled(OWN["mlp by rules"], 2, ("host", 2, Zero(1)))
