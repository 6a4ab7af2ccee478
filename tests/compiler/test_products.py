"""The cross product of rules, centralizations and codecs against the reference.

* fp64, 20 steps side by side: within 1e-10;
* fp32, 20 single steps from the same state, all of the state: within 1e-5, but for
  entries that rounded the other way, of which there may be 1 in 100,000.

`make test` runs what has one choice of three that is not the default, and some schemes
on a task whose tensors are larger than a block; `make test-all` runs the whole product
over one axis, every eighth pair of axes, and drawn schemes. `onebit` codes nothing
that is smaller than its block, so it is always held on those tensors.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import jax
import pytest

from diamond.compiler.task import Task
from diamond.dsl.codes import CODES
from diamond.dsl.legality.rules import legality
from diamond.dsl.vocabulary import Scheme
from diamond.runtime.engines.reference import ReferenceEngine
from tests import products
from tests.comparison import Count, follow, shadow
from tests.compiler.programs import program_of
from tests.conversion import Pair
from tests.schemes import examples_of, task_of, tiny_batch, wide_task_of

PARTS = 20
DRAWN = 500
LARGEST_SHARE = 1e-5
MOST_BEYOND = 16
KNOWN = {code.code for code in CODES}
TaskOf = Callable[[Scheme], Task]
LARGE: dict[str, Callable[[str], Sequence[Scheme]]] = {
    "one_axis": lambda precision: products.one_axis(precision=precision).accepted,
    "two_axes": products.chosen_pairs,
    "drawn": lambda precision: products.drawn(DRAWN, precision),
}


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    jax.clear_caches()


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_one_choice_that_is_not_the_default(precision: str, part: int) -> None:
    _check(products.star(precision)[part::4], precision)


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_the_first_drawn_schemes(precision: str) -> None:
    _check(products.drawn(12, precision), precision)


@pytest.mark.parametrize(
    "chosen", [slice(5), pytest.param(slice(5, None), marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_tensors_larger_than_a_block(precision: str, chosen: slice) -> None:
    _check(products.larger_than_a_block(precision)[chosen], precision, wide_task_of)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("precision", ["fp32", "fp64"])
@pytest.mark.parametrize("name", LARGE)
def test_the_whole_product(name: str, precision: str, part: int) -> None:
    _check(LARGE[name](precision)[part::PARTS], precision)


def test_what_is_refused_has_a_reason_and_a_way_out() -> None:
    sorted_out = products.one_axis()
    print(f"one axis: {sorted_out}")
    assert set(sorted_out.refused) <= KNOWN
    assert len(sorted_out.accepted) > 500
    for scheme in products.everything():
        for finding in legality(scheme):
            assert finding.expected or finding.help, finding


def test_pairs_of_axes_are_sorted() -> None:
    sorted_out = products.two_axes()
    print(f"two axes: {sorted_out}")
    assert set(sorted_out.refused) <= KNOWN
    assert len(sorted_out.accepted) > 300


def test_every_choice_takes_part() -> None:
    seen: Counter[object] = Counter()
    for scheme in products.star():
        block = scheme.replicas[0]
        seen.update([block.consistency, block.centralization, block.compression])
    # A vote needs signs, so it is never the only choice.
    wanted = {*products.RULES, *products.CENTRALIZATIONS, *products.CODECS}
    left = wanted - set(seen)
    assert {getattr(each, "reduce", "") for each in left} == {"majority"}


def _task_of(scheme: Scheme) -> Task:
    return wide_task_of(scheme) if products.has_onebit(scheme) else task_of(scheme)


def _check(schemes: Sequence[Scheme], precision: str, task: TaskOf = _task_of) -> None:
    assert schemes
    total = Count(0, 0)
    for scheme in schemes:
        count = _hold(scheme, precision, task)
        total = Count(total.entries + count.entries, total.beyond + count.beyond)
    print(f"{len(schemes)} schemes: {total.beyond} of {total.entries} entries beyond")
    assert total.beyond <= max(MOST_BEYOND, LARGEST_SHARE * total.entries)


def _hold(scheme: Scheme, precision: str, task: TaskOf = _task_of) -> Count:
    batch_at = partial(tiny_batch, examples=examples_of(scheme))
    with jax.enable_x64(precision == "fp64"):
        made = task(scheme)
        pair = Pair(program_of(scheme, made), ReferenceEngine(scheme, made))
        pair.program.certify()
        if precision == "fp64":
            follow(pair, batch_at, steps=products.STEPS, tolerance=1e-10)
            return Count(0, 0)
        count = shadow(pair, batch_at, steps=products.STEPS, tolerance=1e-5)
        assert count.beyond <= MOST_BEYOND, (count, scheme)
        return count
