"""The certificate: it holds, and it turns red when plan and program differ."""

from dataclasses import replace

import jax
import pytest

from diamond.compiler.certify import CertificateError, certify
from diamond.compiler.plan import Message
from diamond.compiler.variants import variants_of
from diamond.dsl.vocabulary import (
    Gossip,
    Int8,
    Local,
    NoCompression,
    Scheduled,
    Synchronous,
)
from tests.compiler.programs import program_of, scheme_over


@pytest.fixture(scope="module")
def program():
    inner = (4, Synchronous(), Int8(block=8))
    return program_of(scheme_over((2, Local(every=3), NoCompression()), inner))


def test_the_compiled_collectives_are_the_planned_ones(program) -> None:
    certificate = program.certify()
    assert certificate.programs == 2
    sent = {(r.exchange, r.axis, r.kind, r.dtype): r.bytes for r in certificate.rows}
    # 53 values in blocks of 8, a leaf at a time: 32 + 8 + 16 + 8 = 64, by 4 chunks.
    assert sent == {
        ("chip.gradients", "chip", "all-to-all", "s8"): 64,
        ("chip.gradients", "chip", "all-to-all", "f32"): 32,
        ("chip.gradients", "chip", "all-gather", "s8"): 16,
        ("chip.gradients", "chip", "all-gather", "f32"): 8,
        ("host.parameters", "host", "all-reduce", "f32"): 4 * 53,
    }


def _with_messages(program, name, messages):
    plan = program.plan
    exchanges = tuple(
        replace(each, messages=messages) if each.name == name else each
        for each in plan.exchanges
    )
    changed = replace(plan, exchanges=exchanges)
    steps = {due: program.executables.pieces(due) for due in variants_of(plan)}
    return certify(changed, steps)


@pytest.mark.parametrize(
    "messages",
    [
        (Message("all-reduce", "f32", 52),),
        (Message("all-gather", "f32", 53),),
        (Message("all-reduce", "s8", 53),),
        (),
    ],
)
def test_a_difference_names_its_exchange(program, messages) -> None:
    with pytest.raises(CertificateError, match=r"exchange `host\.parameters`"):
        _with_messages(program, "host.parameters", messages)


def test_who_sends_to_whom_is_held_too() -> None:
    """The plan of `exponential` against a program that only ever asks its left."""
    gossip = Gossip(topology="exponential")
    program = program_of(scheme_over((4, Synchronous(), NoCompression(), gossip)))
    [exchange] = program.plan.exchanges
    sent = exchange.messages
    assert [each.pairs for each in sent] == [
        ((0, 1), (1, 2), (2, 3), (3, 0)),
        ((0, 2), (1, 3), (2, 0), (3, 1)),
    ]
    program.certify()
    left = tuple(replace(each, pairs=sent[0].pairs) for each in sent)
    with pytest.raises(CertificateError, match="from members 0 to 1, 1 to 2, 2 to 3"):
        _with_messages(program, exchange.name, left)


def test_a_collective_that_no_exchange_planned_is_an_error(program) -> None:
    mesh = program.mesh
    spec = jax.sharding.PartitionSpec(("host", "chip"))

    def sums(x):
        return jax.lax.psum(x, "chip")

    body = jax.shard_map(
        sums, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
    )
    stray = jax.jit(body).lower(jax.numpy.ones(8)).compile()
    with pytest.raises(CertificateError, match="no exchange"):
        certify(program.plan, {frozenset(): [stray]})


def _looping(program, loop):
    """Compiles a loop of sums over `chip`."""
    spec = jax.sharding.PartitionSpec(("host", "chip"))

    def many(x):
        with jax.named_scope("diamond:chip.gradients"):
            return loop(lambda y: jax.lax.psum(y, "chip") * 0.25, x)

    body = jax.shard_map(
        many, mesh=program.mesh, in_specs=spec, out_specs=spec, check_vma=False
    )
    return jax.jit(body).lower(jax.numpy.ones(8)).compile()


def test_a_collective_in_a_loop_of_unknown_length_is_an_error(program) -> None:
    def until_small(once, x):
        return jax.lax.while_loop(lambda y: y[0] > 0.1, once, x)

    looped = _looping(program, until_small)
    with pytest.raises(CertificateError, match="a loop over chip"):
        certify(program.plan, {frozenset(): [looped]})


def test_a_collective_in_a_loop_counts_as_often_as_it_turns(program) -> None:
    def fifty(once, x):
        return jax.lax.fori_loop(0, 50, lambda _, y: once(y), x)

    looped = _looping(program, fifty)
    with pytest.raises(CertificateError, match="the compiled program 50"):
        certify(program.plan, {frozenset(): [looped]})


def test_what_the_run_does_not_reach_is_named() -> None:
    later = Scheduled(((Synchronous(), 10), (Local(every=3), None)))
    program = program_of(scheme_over((2, later, NoCompression()), steps=6))
    certificate = program.certify()
    assert certificate.programs == 1
    assert certificate.left_out == (
        "chip.parameters, first due at step 12, and the run has 6 steps",
    )
    assert f"left out: {certificate.left_out[0]}" in str(certificate)


def test_turns_that_the_run_does_not_reach_are_named() -> None:
    gossip = (8, Synchronous(), NoCompression(), Gossip("exponential"))
    assert program_of(scheme_over(gossip, steps=2)).certify().left_out == (
        "chip.parameters, turn 2, which the run is too short for",
    )
    assert program_of(scheme_over(gossip, steps=3)).certify().left_out == ()
