"""Speed of every codec against a memory copy of the same gradient.

A codec is timed over encoding and decoding 50 M values in fp32; a compressor that owns
its mean over one member's share of the work among `MEMBERS`: everything but the wire.
Both write into memory that is there already, as the copy does.
"""

import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.interleave import Ratio, interleave
from diamond.compiler.exchange.contract import Codec, Compressor
from diamond.compiler.exchange.site import Moments, Site
from diamond.compiler.exchange.tables import (
    CODECS,
    COMPRESSORS,
    codec_of,
    compressor_of,
)
from diamond.compiler.exchange.wire import Tape, Wire
from diamond.compiler.plan import TensorSpec
from diamond.dsl import vocabulary as words
from diamond.dsl.emit import format_term

MEMBERS = 8
SHAPES = ((4096, 4096),) * 3
ELEMENTS = sum(rows * columns for rows, columns in SHAPES)
PAIRS = 9
OPERATIONS = ("sum", "max", "gather", "swap", "send")
# Where one term says less than all of it, or not what is timed.
VARIANTS: dict[type, tuple[Any, ...]] = {
    words.Cast: tuple(
        words.Cast(to=to) for to in ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2")
    ),
    words.Qsgd: tuple(words.Qsgd(bits=bits) for bits in (2, 4, 8)),
    words.OneBit: (words.OneBit(start=0),),
    words.PowerSgd: tuple(words.PowerSgd(rank=rank) for rank in (1, 4)),
}


class Row(NamedTuple):
    """A codec's speed.

    Attributes:
        compression: The codec, as the language writes it.
        ratio: Its time over that of a copy.
    """

    compression: str
    ratio: Ratio

    @property
    def share(self) -> float:
        """Its bandwidth over that of a copy."""
        return 1 / self.ratio.median

    @property
    def bandwidth(self) -> float:
        """Bytes of the gradient a second."""
        return 4 * ELEMENTS / self.ratio.ours

    @property
    def copy_bandwidth(self) -> float:
        """Bytes of the gradient a second that the copy takes."""
        return 4 * ELEMENTS / self.ratio.theirs


def measure() -> Iterator[Row]:
    """Times every row of the tables of codecs and compressors."""
    copy = _Copy()
    for kind in (*CODECS, *COMPRESSORS):
        for term in VARIANTS.get(kind, (kind(),)):
            run = _run_of(term, copy.source)
            yield Row(format_term(term), interleave(run, copy, pairs=PAIRS))


class _Copy:
    """Copies the gradient into memory that is there."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.source = rng.standard_normal(ELEMENTS, np.float32)
        self.target = np.zeros_like(self.source)

    def __call__(self) -> None:
        np.copyto(self.target, self.source)


def _run_of(term: Any, gradient: np.ndarray[Any, Any]) -> Callable[[], None]:
    if type(term) in CODECS:
        return _RoundTrip(codec_of(term), jnp.asarray(gradient))
    site = Site(
        wire=Tape().wire("host", MEMBERS),
        tensors=tuple(
            TensorSpec(f"layer{place}", shape, "float32")
            for place, shape in enumerate(SHAPES)
        ),
        adam=Moments(0.9, 0.999),
    )
    parts = np.split(gradient, len(SHAPES))
    values = [jnp.asarray(p.reshape(s)) for p, s in zip(parts, SHAPES, strict=True)]
    return _Share(compressor_of(term, site), site, values)


class _RoundTrip:
    """Encodes and decodes a gradient, in two programs as on two sides of a wire."""

    def __init__(self, codec: Codec, gradient: jax.Array) -> None:
        self.gradient, self.key = gradient, jnp.uint32(1)
        self.encode = _into(codec.encode)
        self.decode = _into(lambda payload: codec.decode(payload, jnp.float32))
        self.payload = jax.jit(codec.encode)(gradient, self.key)
        self.decoded = jnp.zeros_like(gradient)

    def __call__(self) -> None:
        self.payload = self.encode(self.payload, self.gradient, self.key)
        self.decoded = self.decode(self.decoded, self.payload)
        jax.block_until_ready(self.decoded)


class _Share:
    """What one member computes for a mean: from what it hears to what it sends."""

    def __init__(
        self, compressor: Compressor, site: Site, values: list[jax.Array]
    ) -> None:
        self.compressor, self.wire, self.values = compressor, site.wire, values
        self.turn = statistics.mode(compressor.turns)
        state = jax.jit(compressor.init)(values)
        self.heard, self.state = jax.jit(self._listen)(values, state)
        made = jax.eval_shape(self._work, values, self.state, self.heard)
        (self.mean, _), self.sent = jax.tree.map(_zeros, made)
        self.program = _into(self._work, donated=(0, 2))

    def __call__(self) -> None:
        old = (self.mean, self.sent)
        made = self.program(old, self.values, self.state, self.heard)
        (self.mean, self.state), self.sent = jax.block_until_ready(made)

    def _listen(self, values: Any, state: Any) -> tuple[list[Any], Any]:
        heard: list[Any] = []
        wire = _recording(self.wire, heard)
        _, state = self.compressor.mean(values, state, wire, self.turn)
        return heard, state

    def _work(self, values: Any, state: Any, heard: list[Any]) -> Any:
        sent: list[Any] = []
        wire = _replaying(self.wire, heard, sent)
        return self.compressor.mean(values, state, wire, self.turn), sent


def _recording(wire: Wire, heard: list[Any]) -> Wire:
    """A wire that writes down what is heard over it."""

    def noted(operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            heard.append(operation(*given))
            return heard[-1]

        return run

    return wire._replace(**{name: noted(getattr(wire, name)) for name in OPERATIONS})


def _replaying(wire: Wire, heard: list[Any], sent: list[Any]) -> Wire:
    """A wire over which what was heard before is heard again, whatever is sent."""
    again = iter(heard)

    def run(given: Any, *how: Any) -> Any:
        del how
        sent.append(given)
        return next(again)

    return wire._replace(**dict.fromkeys(OPERATIONS, run))


def _zeros(like: jax.ShapeDtypeStruct) -> jax.Array:
    return jnp.zeros(like.shape, like.dtype)


def _into(
    function: Callable[..., Any], donated: tuple[int, ...] = (0,)
) -> Callable[..., Any]:
    """Compiles a function to write its results over those of another call."""
    return jax.jit(
        lambda old, *given: function(*given), donate_argnums=donated, keep_unused=True
    )
