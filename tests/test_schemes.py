"""The strategies draw what the checker accepts, and all of it."""

import numpy as np
from hypothesis import Phase, find, given, settings

from diamond.dsl.legality import legality
from diamond.dsl.vocabulary import (
    Local,
    Nesterov,
    Scheduled,
    Synchronous,
    phases_of,
)
from tests.schemes import catalogue, schemes, tiny_batch, tiny_task


def errors(scheme):
    return [f.message for f in legality(scheme) if f.severity == "error"]


@settings(max_examples=100, deadline=None)
@given(scheme=schemes())
def test_drawn_schemes_are_legal(scheme):
    assert errors(scheme) == []
    assert np.prod([axis.size for axis in scheme.mesh]) in (1, 2, 4, 8)


def test_the_catalogue_is_legal_and_its_names_differ():
    assert [errors(scheme) for scheme in catalogue()] == [[]] * len(catalogue())
    assert len({scheme.name for scheme in catalogue()}) == len(catalogue())


def rules(scheme):
    return [[p.value for p in phases_of(r.consistency)] for r in scheme.replicas]


def test_every_kind_of_scheme_can_be_drawn():
    kinds = (
        lambda s: len(s.mesh) == 3 and all(axis.size == 2 for axis in s.mesh),
        lambda s: sum(isinstance(axis[-1], Local) for axis in rules(s)) == 3,
        lambda s: (
            any(isinstance(axis[0], Synchronous) for axis in rules(s))
            and any(
                isinstance(getattr(axis[-1], "outer", None), Nesterov)
                for axis in rules(s)
            )
        ),
        lambda s: any(isinstance(r.compression, Scheduled) for r in s.replicas),
        lambda s: any(len(axis) == 3 for axis in rules(s)),
    )
    first = settings(max_examples=2000, database=None, phases=[Phase.generate])
    for kind in kinds:
        find(schemes(), kind, settings=first)


def test_a_batch_is_a_function_of_its_step():
    for name, value in tiny_batch(3).items():
        np.testing.assert_array_equal(value, tiny_batch(3)[name])
        assert (value != tiny_batch(4)[name]).any()


def test_the_task_is_made_once():
    assert tiny_task("fp32") is tiny_task("fp32")
