"""What a step is said to need, against what XLA reserves for it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import diamond
from diamond.compiler.compat import scan_counts
from diamond.compiler.liveness import peak_of
from diamond.compiler.temporaries import with_temporaries
from diamond.compiler.variants import variants_of

CHEAP = ["features", "onebit_adam", "powersgd", "text"]


@pytest.mark.parametrize("name", CHEAP)
def test_the_estimate_is_near_what_xla_reserves(name: str) -> None:
    path = Path(f"examples/{name}.diamond")
    program = diamond.compile(diamond.load(path), root=path.parent)
    shapes = program.executables.batch_shapes
    billed = sum(
        held.bytes
        for held in with_temporaries(program.plan, program.task, shapes).memory
    )
    due = max(variants_of(program.plan), key=len)
    sizes = program.executables.step(due).memory_analysis()
    reserved = sizes.argument_size_in_bytes + sizes.temp_size_in_bytes
    assert billed == pytest.approx(reserved, rel=0.2)


def test_what_is_computed_one_by_one_is_not_stored() -> None:
    assert _peak(lambda a: ((2 * a + 1) @ a) * 2) == 2 * 256
    assert _peak(lambda a: (a @ a) * 2 + 1) == 256


def test_a_branch_adds_the_largest() -> None:
    def step(a: jax.Array) -> jax.Array:
        large = lambda a: (a @ a) @ a  # noqa: E731
        return jax.lax.cond(a[0, 0] > 0, large, lambda a: a, a)

    assert _peak(step) >= 256


def test_a_loop_carries_in_place() -> None:
    """It writes over what it carries, and not over what it reads beside."""

    def loop(a: jax.Array) -> jax.Array:
        def turn(
            carry: tuple[jax.Array, jax.Array], row: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            x, y = carry
            return (x @ a, y + row), row[0]

        start = (a @ a, jnp.zeros(8))
        (x, y), _ = jax.lax.scan(turn, start, jnp.ones((3, 8)))
        return (x @ a).sum() + y.sum()

    for step in (loop, jax.grad(loop)):
        equations = jax.make_jaxpr(step)(jnp.ones((8, 8))).jaxpr.eqns
        loops = [each for each in equations if each.primitive.name == "scan"]
        assert {scan_counts(each.params) for each in loops} == {(1, 2)}
    assert _peak(loop) == 2 * 256 + 32


def test_new_state_is_written_over_the_old() -> None:
    def step(a: jax.Array) -> tuple[jax.Array, jax.Array]:
        return a + 1, jnp.float32(0)

    def late(a: jax.Array) -> tuple[jax.Array, jax.Array]:
        return a + 1, a @ a

    assert [_peak(each, pairs=True) for each in (step, late)] == [0, 256]


def _peak(step, pairs: bool = False) -> int:
    jaxpr = jax.make_jaxpr(step)(jnp.ones((8, 8))).jaxpr
    return peak_of(jaxpr, [(jaxpr.outvars[0], jaxpr.invars[0])] if pairs else [])
