"""Scattering: gradients cross to the owners of their shards in a codec's form.

    p_i  = g_i + e_i        g_i: device i's own gradient, whole, of all microbatches
    e_i <- p_i - C(p_i)     e = 0 unless the codec keeps feedback
    g[j] = (1/N) sum_i C(p_i)[j]  at the device that owns shard j

It is the first of the library's two phases: parameters are put together from what was
updated, and nothing is coded again. A layer's gradients stand in N rows, one of each
owner's pieces; a piece fills whole blocks, so that no block has two owners. A tensor
whose pieces do not fill a block each is added up as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import Bucket, bucket_of, pack, unpack
from diamond.compiler.exchange.coded import (
    after,
    counts_for,
    encoded,
    fitted,
    key_at,
    mean_of_chunk,
)
from diamond.compiler.exchange.contract import Codec, Leaves
from diamond.compiler.exchange.dense import dense_places, note_on
from diamond.compiler.exchange.tables import codec_of
from diamond.compiler.exchange.wire import Wire, mesh_wire
from diamond.compiler.parallelism.packing import apart
from diamond.compiler.parallelism.zero import Zero, zero_of
from diamond.compiler.plan import MeshAxis, TensorSpec, local_tensor
from diamond.compiler.scopes import scope_of
from diamond.dsl import vocabulary as words


class Lost(NamedTuple):
    """What a device remembers of what it sent.

    Attributes:
        worker: For each message `[N, values of a piece]` end to end, what its code
            lost; None without feedback.
        uses: `uint32[]`, steps so far, for codecs that draw.
    """

    worker: tuple[jax.Array | None, ...]
    uses: jax.Array | None


class Lot(NamedTuple):
    """The tensors of one message, and how a device's piece of them is laid out."""

    places: tuple[int, ...]
    dims: tuple[int, ...]
    bucket: Bucket


class Scattering(NamedTuple):
    """How a device's gradient becomes its shard of everyone's mean.

    Attributes:
        key: Names what is remembered.
        plain: The shards, with the messages of what crosses as it is.
        codec: The form of the rest.
        wire: The axis.
        lots: What is coded, message by message.
        dense: Place of each tensor that is added up as it is, and why.
    """

    key: str
    plain: Zero
    codec: Codec
    wire: Wire
    lots: tuple[Lot, ...]
    dense: Mapping[int, str]

    def init(self, dtype: Any) -> Lost:
        """Returns what a device remembers at first."""
        sizes = [lot.bucket.elements * self.wire.size for lot in self.lots]
        keeps = self.codec.feedback
        worker = [jnp.zeros(size, dtype) if keeps else None for size in sizes]
        return Lost(tuple(worker), jnp.uint32(0) if self.codec.draws else None)

    def mean(self, gradients: Sequence[Any], lost: Lost) -> tuple[Leaves, Lost]:
        """Returns this device's shards of the mean of everyone's whole gradients."""
        made, worker = self._as_they_are(gradients), []
        for number, (lot, owed) in enumerate(zip(self.lots, lost.worker, strict=True)):
            key = key_at(lost.uses, self.wire, number * self.wire.size)
            with jax.named_scope(self.plain.scope):
                shards, left = self._coded(gradients, lot, owed, key)
            worker.append(left)
            for place, shard in zip(lot.places, shards, strict=True):
                made[place] = shard
        return made, Lost(tuple(worker), after(lost.uses))

    def equations(self) -> Iterator[str]:
        """Writes the step in symbols."""
        feedback, axis = self.codec.feedback, self.wire.axis
        sends = "C(g + e)" if feedback else "C(g)"
        num = len(self.plain.dims)
        yield self.codec.equation
        yield f"g <- this device's shard of mean over {axis} of {sends}"
        if feedback:
            yield f"e <- g + e - {sends}, of this device's own g"
        if self.dense:
            yield note_on(self.dense, num)

    def _as_they_are(self, gradients: Sequence[Any]) -> Leaves:
        """Returns the shards of what is not coded, and the rest as it is."""
        coded = {place for lot in self.lots for place in lot.places}
        shares = [
            g if place in coded else g * (1 / self.wire.size)
            for place, g in enumerate(gradients)
        ]
        return self.plain.reduce(shares)

    def _coded(
        self,
        gradients: Sequence[Any],
        lot: Lot,
        owed: jax.Array | None,
        key: jax.Array,
    ) -> tuple[Leaves, jax.Array | None]:
        pairs = zip(lot.places, lot.dims, strict=True)
        pieces = [apart(gradients[place], dim, self.wire.size) for place, dim in pairs]
        rows = jax.vmap(lambda piece: pack(piece, lot.bucket))(pieces)
        counts = counts_for(self.codec, lot.bucket)
        if counts is not None:
            counts = jnp.tile(counts, self.wire.size)
        whole = fitted(self.codec, counts)
        payload, left = encoded(rows.reshape(-1), owed, whole, key)
        part, _ = mean_of_chunk(payload, counts, self.codec, self.wire, rows.dtype)
        return unpack(part, lot.bucket, list(lot.places)), left


def scattering_of(
    axes: Sequence[MeshAxis], tensors: Sequence[TensorSpec], seed: int = 0
) -> Scattering | None:
    """Returns how gradients cross to the owners of their shards, where in a code.

    Args:
        axes: The mesh.
        tensors: The parameters, with their cuts.
        seed: The run's, for what is drawn. Copies further out draw apart; the devices
            of one copy that are given the same values draw alike.

    Example:
        >>> term = words.Zero(compression=words.Int8(block=4))
        >>> host = MeshAxis("host", 2, strategy=term)
        >>> specs = [TensorSpec(n, (k,), "float32", cuts=(("host",),))
        ...          for n, k in (("w", 8), ("b", 2))]
        >>> found = scattering_of([host], specs)
        >>> [lot.places for lot in found.lots], found.dense
        ([(0,)], {1: 'with pieces smaller than a block of 4'})
    """
    axis = next((axis for axis in axes if is_coded(axis)), None)
    zero = None if axis is None else zero_of(axis, tensors)
    if axis is None or zero is None:
        return None
    assert isinstance(axis.strategy, words.Zero)
    term, sizes = axis.strategy.compression, {each.name: each.size for each in axes}
    codec = codec_of(term)
    pieces = [local_tensor(tensor, sizes) for tensor in tensors]
    dense = _dense(pieces, zero, codec, getattr(term, "exclude", ()))
    outer = tuple((each.name, each.size) for each in axes if each.holds_copies)
    return Scattering(
        key=scope_of(axis),
        plain=zero._replace(together=tuple(_some(zero, dense, coded=False))),
        codec=codec,
        wire=mesh_wire(axis.name, axis.size, outer, seed=seed),
        lots=tuple(
            Lot(places, _dims(zero, places), _laid(pieces, places, codec))
            for places in _some(zero, dense, coded=True)
        ),
        dense=dense,
    )


def is_coded(axis: MeshAxis) -> bool:
    """Whether gradients cross an axis to the owners of their shards in a code."""
    term = axis.strategy
    if not isinstance(term, words.Zero) or axis.size == 1:
        return False
    return not isinstance(term.compression, words.NoCompression)


def _dense(
    pieces: Sequence[TensorSpec], zero: Zero, codec: Codec, exclude: tuple[str, ...]
) -> dict[int, str]:
    """Returns the places of what is added up as it is, and why."""

    def skips(shape: tuple[int, ...]) -> str:
        size = TensorSpec("", shape, "").elements
        small = f"with pieces smaller than a block of {codec.block}"
        return codec.skips(shape) or small * (size < codec.block)

    found = dense_places(pieces, codec._replace(skips=skips), exclude)
    whole = [place for place, dim in enumerate(zero.dims) if dim is None]
    return found | dict.fromkeys(whole, "whole on each device")


def _some(
    zero: Zero, dense: Mapping[int, str], *, coded: bool
) -> Iterator[tuple[int, ...]]:
    """Yields the messages of what is coded, or of what is not."""
    for places in zero.together:
        some = tuple(place for place in places if (place not in dense) == coded)
        if some:
            yield some


def _dims(zero: Zero, places: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dim for place in places if (dim := zero.dims[place]) is not None)


def _laid(pieces: Sequence[TensorSpec], places: Sequence[int], codec: Codec) -> Bucket:
    shapes = tuple(pieces[place].shape for place in places)
    return bucket_of(shapes, block=codec.block)
