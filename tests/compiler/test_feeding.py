"""Rows of a batch that one of several processes feeds."""

from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diamond.compiler.feeding import put, rows_here
from diamond.dsl.vocabulary import Digits, Text
from diamond.runtime.data import Share, open_data


class Elsewhere:
    """A sharding of which this process has some devices only."""

    is_fully_addressable = False

    def __init__(self, sharding, devices):
        self._sharding = sharding
        self._devices = devices

    def addressable_devices_indices_map(self, shape):
        places = self._sharding.devices_indices_map(shape)
        return {each: places[each] for each in self._devices}


@pytest.fixture
def mesh():
    return Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("site", "chip"))


@pytest.mark.parametrize(
    ("axes", "first"), [(("site", "chip"), 4), ("site", 4), ("chip", 0), (None, 0)]
)
def test_the_outer_axis_says_which_rows_are_here(mesh, axes, first):
    whole = NamedSharding(mesh, PartitionSpec(axes))
    mine = Elsewhere(whole, jax.devices()[2:4])
    assert rows_here((8, 3), mine) == slice(first, 8)


def test_a_share_is_put_where_the_whole_would_be(mesh, monkeypatch):
    parts = {}

    def record(shape, sharding, part):
        for device, place in sharding.addressable_devices_indices_map(shape).items():
            parts[device] = part(place)

    monkeypatch.setattr(jax, "make_array_from_callback", record)
    array = np.arange(24).reshape(8, 3)
    where = Elsewhere(
        NamedSharding(mesh, PartitionSpec(("site", "chip"))), jax.devices()[2:4]
    )
    for given in (array, array[4:]):
        parts.clear()
        put(given, array.shape, where)
        assert [each.tolist() for each in parts.values()] == [
            array[4:6].tolist(),
            array[6:].tolist(),
        ]


@pytest.mark.parametrize("term", [Digits(batch=12), Text(batch=12)], ids=str)
def test_shares_of_a_batch_are_the_batch(term):
    data = open_data(term, Path(), seed=3)
    whole = data.batch_at(150)
    shares = [Share(data, rows).batch_at(150) for rows in (slice(0, 5), slice(5, 12))]
    for name, array in whole.items():
        np.testing.assert_array_equal(
            np.concatenate([share[name] for share in shares]), array
        )
