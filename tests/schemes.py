"""Schemes to test with: strategies that draw legal ones, and a fixed catalogue.

Also two tasks so small that their programs compile at once: one with leaves whose sizes
(30, 5, 15 and 3) are no multiples of any block, and one with a kernel of three dims and
1200 values, which is more than a block of any codec.
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import strategies as st

from diamond.compiler.task import Task
from diamond.dsl.vocabulary import (
    Average,
    Axis,
    Call,
    Cast,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Replicas,
    Scheduled,
    Scheme,
    Synchronous,
    Train,
)

STEPS = 50
NAMES = ("site", "host", "chip")
NARROW_TYPES = ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2")
BLOCKS = (4, 8, 16, 32)
SIZES = (1, 2, 3, 4, 5, 6, 8)
OPTIMIZERS = (
    Call("sgd", (("learning_rate", 0.03),)),
    Call("sgd", (("learning_rate", 0.005), ("momentum", 0.9))),
    Call("adam", (("learning_rate", 0.003),)),
    Call("adamw", (("learning_rate", 0.003), ("weight_decay", 0.1))),
)


class Span(NamedTuple):
    """A rule with the steps at which it holds; `stop` is None where it never ends."""

    rule: Synchronous | Local
    start: int
    stop: int | None


# --- strategies -----------------------------------------------------------------


@st.composite
def schemes(draw: st.DrawFn, max_devices: int = 8, precision: str = "fp32") -> Scheme:
    """Draws a legal scheme of what is built, over 1 to 3 replica axes."""
    grids = _grids(draw(st.integers(1, 3)), max_devices)
    sizes = draw(st.sampled_from(grids))
    names = NAMES[-len(sizes) :]
    spans: list[Span] | None = None
    replicas = []
    for name in names:
        spans = draw(_spans_inside(spans))
        consistency = _schedule([(s.rule, _length(s)) for s in spans])
        replicas.append(
            Replicas(name, consistency=consistency, compression=draw(compressions()))
        )
    optimizer = draw(st.sampled_from(OPTIMIZERS))
    return Scheme(
        "drawn",
        train=Train(optimizer=optimizer, steps=STEPS, precision=precision),
        mesh=tuple(Axis(name, n) for name, n in zip(names, sizes, strict=True)),
        replicas=tuple(replicas),
    )


def codecs() -> st.SearchStrategy[Any]:
    """Draws a codec."""
    return st.one_of(
        st.just(NoCompression()),
        st.builds(Cast, to=st.sampled_from(NARROW_TYPES), feedback=st.booleans()),
        st.builds(Int8, block=st.sampled_from(BLOCKS), feedback=st.booleans()),
    )


@st.composite
def compressions(draw: st.DrawFn) -> Any:
    """Draws a codec or a schedule of codecs."""
    num_phases = draw(st.sampled_from((1, 1, 2, 3)))
    lengths = [draw(st.integers(1, 12)) for _ in range(num_phases - 1)]
    return _schedule([(draw(codecs()), length) for length in (*lengths, None)])


def rules(every: st.SearchStrategy[int]) -> st.SearchStrategy[Local]:
    """Draws a `local` rule with a period from a strategy."""
    nesterov = st.builds(
        Nesterov,
        lr=st.sampled_from((0.4, 0.7, 1.0)),
        momentum=st.sampled_from((0.0, 0.5, 0.9)),
    )
    return st.builds(Local, every=every, outer=st.one_of(st.just(Average()), nesterov))


@st.composite
def _spans_inside(draw: st.DrawFn, outer: list[Span] | None) -> list[Span]:
    """Draws the rules of an axis, given those of the next axis outside it.

    Inside a synchronous axis an axis is synchronous. Inside `local(every = a)` its
    rules start at steps, counted from the start of that rule, that divide by their
    periods, which divide a. No rule is synchronous after a local one.
    """
    if outer is None:
        return draw(_spans(0, None, None, loose=False))
    spans: list[Span] = []
    for span in outer:
        if isinstance(span.rule, Local):
            loose = bool(spans) and isinstance(spans[-1].rule, Local)
            spans += draw(_spans(span.start, span.stop, span.rule.every, loose))
        else:
            spans.append(span)
    joined = spans[:1]
    for span in spans[1:]:
        if span.rule == joined[-1].rule and draw(st.booleans()):
            joined[-1] = joined[-1]._replace(stop=span.stop)
        else:
            joined.append(span)
    return joined


@st.composite
def _spans(
    draw: st.DrawFn, start: int, stop: int | None, every: int | None, loose: bool
) -> list[Span]:
    """Draws 1 to 3 rules that fill some steps, inside a rule of a period or none.

    They are all local where the axis was `loose` before.
    """
    spans: list[Span] = []
    here = start
    for left in reversed(range(draw(st.integers(1, 3)))):
        periods = [
            p
            for p in range(1, 6)
            if every is None or (every % p == 0 and (here - start) % p == 0)
        ]
        local = rules(st.sampled_from(periods))
        rule = draw(local if loose else st.one_of(st.just(Synchronous()), local))
        loose = isinstance(rule, Local)
        unit = rule.every if isinstance(rule, Local) else 1
        end = here + unit * draw(st.integers(1, 4))
        if left == 0 or (stop is not None and end >= stop):
            return [*spans, Span(rule, here, stop)]
        spans.append(Span(rule, here, end))
        here = end
    raise AssertionError("the last rule fills the rest")


def _length(span: Span) -> int | None:
    return None if span.stop is None else span.stop - span.start


def _schedule(phases: list[tuple[Any, int | None]]) -> Any:
    return phases[0][0] if len(phases) == 1 else Scheduled(tuple(phases))


def _grids(num_axes: int, max_devices: int) -> list[tuple[int, ...]]:
    grids = itertools.product((1, 2, 4, 8), repeat=num_axes)
    return [sizes for sizes in grids if np.prod(sizes) <= max_devices]


# --- catalogue ------------------------------------------------------------------


def catalogue(precision: str = "fp32") -> list[Scheme]:
    """Lists schemes that have each rule, outer step and codec on 1 to 3 axes."""
    return [
        _written(name, number, precision, axes)
        for number, (name, axes) in enumerate(_CATALOGUE)
    ]


def _written(
    name: str, number: int, precision: str, axes: tuple[tuple[int, Any, Any], ...]
) -> Scheme:
    names = NAMES[-len(axes) :] if axes else ()
    return Scheme(
        name,
        train=Train(
            optimizer=OPTIMIZERS[number % len(OPTIMIZERS)],
            steps=STEPS,
            precision=precision,
        ),
        mesh=tuple(Axis(n, axis[0]) for n, axis in zip(names, axes, strict=True)),
        replicas=tuple(
            Replicas(n, consistency=axis[1], compression=axis[2])
            for n, axis in zip(names, axes, strict=True)
        ),
    )


def _then(first: Any, steps: int, second: Any) -> Any:
    return Scheduled(((first, steps), (second, None)))


_SYNC = Synchronous()
_NONE = NoCompression()
_DILOCO = Nesterov(lr=0.7, momentum=0.9)
_CATALOGUE: tuple[tuple[str, tuple[tuple[int, Any, Any], ...]], ...] = (
    ("alone", ()),
    ("one", ((1, _SYNC, _NONE),)),
    ("one_int8", ((1, _SYNC, Int8(8)),)),
    ("sync", ((8, _SYNC, _NONE),)),
    ("sync_bf16", ((8, _SYNC, Cast("bf16")),)),
    ("sync_fp16_feedback", ((4, _SYNC, Cast("fp16", feedback=True)),)),
    ("sync_e4m3_pair", ((2, _SYNC, Cast("fp8_e4m3", feedback=True)),)),
    ("sync_e5m2", ((4, _SYNC, Cast("fp8_e5m2")),)),
    ("sync_int8", ((8, _SYNC, Int8(16)),)),
    ("sync_int8_pair", ((2, _SYNC, Int8(8)),)),
    ("sync_int8_forgetful", ((4, _SYNC, Int8(32, feedback=False)),)),
    ("local", ((8, Local(4), _NONE),)),
    ("local_every_step", ((4, Local(1), _NONE),)),
    ("local_int8", ((4, Local(3), Int8(4)),)),
    ("local_bf16_pair", ((2, Local(5), Cast("bf16", feedback=True)),)),
    ("diloco", ((8, Local(5, _DILOCO), _NONE),)),
    ("diloco_int8", ((4, Local(2, _DILOCO), Int8(8)),)),
    ("sync_then_local", ((4, _then(_SYNC, 3, Local(2, _DILOCO)), _NONE),)),
    ("codec_switch", ((4, Local(3), _then(_NONE, 7, Int8(16))),)),
    ("local_then_local", ((2, _then(Local(3), 9, Local(2)), Int8(4)),)),
    ("two_tight", ((2, _SYNC, Int8(8)), (4, _SYNC, _NONE))),
    ("two_sites", ((2, Local(4, _DILOCO), Int8(8)), (4, _SYNC, _NONE))),
    ("tight_int8_inside", ((2, Local(3), _NONE), (4, _SYNC, Int8(16)))),
    (
        "nested_local",
        ((4, Local(4, _DILOCO), Cast("fp16")), (2, Local(2), Int8(4))),
    ),
    (
        "staggered",
        (
            (2, _then(_SYNC, 3, Local(4)), Int8(8)),
            (2, _then(_SYNC, 7, Local(2, _DILOCO)), _then(Cast(), 5, Int8(4))),
        ),
    ),
    (
        "three_axes",
        (
            (2, Local(4, _DILOCO), Int8(8)),
            (2, Local(2), _NONE),
            (2, _SYNC, Cast("bf16", feedback=True)),
        ),
    ),
    (
        "three_loose",
        (
            (2, Local(4), _NONE),
            (2, Local(2, _DILOCO), Cast("fp8_e4m3")),
            (2, Local(1), Int8(4, feedback=False)),
        ),
    ),
    (
        "three_tight",
        (
            (2, _SYNC, Cast("fp8_e5m2", feedback=True)),
            (2, _SYNC, Int8(32)),
            (2, _SYNC, _NONE),
        ),
    ),
)


# --- task -----------------------------------------------------------------------


@functools.cache
def tiny_task(precision: str = "fp32", optimizer: Call = OPTIMIZERS[0]) -> Task:
    """Returns a two-layer perceptron, 6 -> 5 -> 3, under mean squared error.

    The same task for the same arguments, so that what is compiled can be shared.
    """
    dtype = np.dtype(np.float64 if precision == "fp64" else np.float32)

    def init(key: jax.Array) -> Any:
        first, second = jax.random.split(key)
        return {
            "hidden": _dense(first, 6, 5, dtype),
            "out": _dense(second, 5, 3, dtype),
        }

    return Task(
        init=init,
        loss=lambda params, batch: jnp.mean(_squared_errors(params, batch)),
        measure=lambda params, batch: {
            "loss": jnp.mean(_squared_errors(params, batch), axis=1)
        },
        report=dict,
        optimizer=optax_of(optimizer),
        dims={"hidden": {"w": (), "b": ()}, "out": {"w": (), "b": ()}},
    )


@functools.cache
def wide_task(precision: str = "fp32", optimizer: Call = OPTIMIZERS[0]) -> Task:
    """Returns a convolution of 3 places, 20 -> 20, between two dense layers."""
    dtype = np.dtype(np.float64 if precision == "fp64" else np.float32)

    def init(key: jax.Array) -> Any:
        first, second, third = jax.random.split(key, 3)
        kernel = jax.random.normal(second, (3, 20, 20), dtype) / 8
        return {
            "conv": {"w": kernel, "b": jnp.zeros(20, dtype)},
            "embed": _dense(first, 1, 20, dtype),
            "out": _dense(third, 20, 3, dtype),
        }

    return Task(
        init=init,
        loss=lambda params, batch: jnp.mean(_wide_errors(params, batch)),
        measure=lambda params, batch: {
            "loss": jnp.mean(_wide_errors(params, batch), axis=1)
        },
        report=dict,
        optimizer=optax_of(optimizer),
        dims={name: {"w": (), "b": ()} for name in ("conv", "embed", "out")},
    )


def wide_task_of(scheme: Scheme) -> Task:
    """Returns the wide task with a scheme's precision and optimizer."""
    return wide_task(scheme.train.precision, scheme.train.optimizer)


def task_of(scheme: Scheme) -> Task:
    """Returns the tiny task with a scheme's precision and optimizer."""
    return tiny_task(scheme.train.precision, scheme.train.optimizer)


def examples_of(scheme: Scheme) -> int:
    """Returns a number of examples that divides among a scheme's members."""
    members = int(np.prod([axis.size for axis in scheme.mesh], dtype=int))
    return 16 if 16 % members == 0 else 2 * members


def tiny_batch(step: int, examples: int = 16) -> dict[str, np.ndarray]:
    """Returns the batch of a step: a function of the step alone."""
    x = np.random.default_rng(step).standard_normal((examples, 6), np.float32)
    y = np.stack([x[:, 0] * x[:, 1], np.sin(x[:, 2]), x[:, 3:].sum(axis=1)], axis=1)
    return {"x": x, "y": y}


def optax_of(call: Call) -> optax.GradientTransformation:
    """Returns the optax optimizer that a call of the tables here means."""
    table = {"sgd": optax.sgd, "adam": optax.adam, "adamw": optax.adamw}
    return table[call.name](**dict(call.arguments))


def _dense(key: jax.Array, inputs: int, outputs: int, dtype: Any) -> Any:
    w = jax.random.normal(key, (inputs, outputs), dtype) / np.sqrt(inputs).astype(dtype)
    return {"w": w, "b": jnp.zeros(outputs, dtype)}


def _squared_errors(params: Any, batch: Any) -> jax.Array:
    hidden, out = params["hidden"], params["out"]
    x, y = (batch[name].astype(hidden["w"].dtype) for name in ("x", "y"))
    h = jnp.tanh(x @ hidden["w"] + hidden["b"])
    return (h @ out["w"] + out["b"] - y) ** 2


def _wide_errors(params: Any, batch: Any) -> jax.Array:
    embed, conv, out = params["embed"], params["conv"], params["out"]
    x, y = (batch[name].astype(conv["w"].dtype) for name in ("x", "y"))
    places = jnp.tanh(x[:, :, None] * embed["w"][0] + embed["b"])
    seen = jnp.stack([places[:, k : k + 4] for k in range(3)], axis=2)
    h = jnp.tanh(jnp.einsum("bpki,kio->bpo", seen, conv["w"]) + conv["b"])
    return (h.mean(axis=1) @ out["w"] + out["b"] - y) ** 2
