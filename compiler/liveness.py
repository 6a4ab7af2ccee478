"""Liveness: how many bytes a traced step has in use at once, beside its arguments.

An estimate of what XLA reserves, by walking over the equations in their order:

* what only moves or combines values one by one is *fused* into its readers and not
  stored, if these can take it in; what costs much (`exp`, a division) only into one
  reader, and what joins arrays only if no reader waits for another one's result;
* a value is in use from where it is made to where it is read last, and what is made of
  it one by one may take its place then;
* new state is written over the old, but where something may read the old one that the
  new one does not depend on: then the old one is copied first;
* a loop writes what it carries in place; it and the branches of a `cond` add what is
  in use inside, of branches the largest;
* sums over devices that follow each other are one.

How it compares with XLA's own count is measured in docs/fidelity.md.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jax.extend import core

from diamond.compiler.compat import scan_counts

Pairs = Sequence[tuple[Any, Any]]
"""Outputs with the inputs whose place they take."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RENAMES = _names("""
    reshape squeeze expand_dims bitcast_convert_type name optimization_barrier
    copy stop_gradient
""")
_CHEAP = _names("""
    broadcast_in_dim iota convert_element_type transpose slice rev pad split
    dynamic_slice eq lt le gt ge ne and or not is_finite add sub mul neg max
    min abs sign square integer_pow add_any floor ceil round clamp select_n
    xor shift_right_logical shift_left population_count axis_index
""")
_DEAR = _names("""
    gather exp exp2 log log1p tanh logistic rsqrt sqrt div sin cos pow erf rem
    expm1 nextafter erf_inv cbrt
""")
_LOOPS = _CHEAP | _DEAR
_SUMS = frozenset(["psum", "psum_invariant"])


@dataclass(eq=False, slots=True)
class _Value:
    """An array: its bytes, 0 where it is an argument, and who makes and reads it.

    Attributes:
        bytes: Its size.
        made: The place of the equation that makes it; -1 of an argument.
        readers: Places of the equations that read it.
        needs: Places of all that it depends on, as bits.
        waits: Those of them that it depends on through something stored, as bits.
        kept: Whether it is a result.
        fused: Whether its readers compute it themselves, and nobody stores it.
        again: Whether readers compute it themselves, although it may be stored.
    """

    bytes: int = 0
    made: int = -1
    readers: list[int] = field(default_factory=list)
    needs: int = 0
    waits: int = 0
    kept: bool = False
    fused: bool = False
    again: bool = False


@dataclass(eq=False, slots=True)
class _Op:
    """An equation, with what is in use inside and what it carries in place.

    Attributes:
        name: Its primitive.
        reads: What it reads.
        makes: What it makes.
        inside: Bytes in use inside.
        carried: What it reads that it writes over.
        places: Where what it reads is read in the end, as bits.
    """

    name: str
    reads: list[_Value]
    makes: list[_Value]
    inside: int = 0
    carried: list[_Value] = field(default_factory=list)
    places: int = 0


def peak_of(jaxpr: core.Jaxpr, pairs: Pairs) -> int:
    """Returns how many bytes are in use at once, without arguments and results.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> a = jnp.ones((8, 8))
        >>> traced = jax.make_jaxpr(lambda a: jnp.tanh(a @ a) @ a)(a)
        >>> peak_of(traced.jaxpr, [])
        256
    """
    env: dict[Any, _Value] = {v: _Value() for v in (*jaxpr.invars, *jaxpr.constvars)}
    given = dict(env)
    renamed: set[Any] = set()
    ops = _with_sums_joined(_flat(jaxpr, env, renamed))
    for place, op in enumerate(ops):
        for value in op.reads:
            value.readers.append(place)
        for value in op.makes:
            value.made = place
    outs = [v for v in jaxpr.outvars if not isinstance(v, core.Literal)]
    for var in outs:
        env[var].kept = True
    _follow(ops)
    _fuse(ops, {env[var] for var in outs if var not in renamed})
    _place(ops)
    copies = [
        (env[out].bytes, _last(ops, given[old]))
        for out, old in pairs
        if not isinstance(out, core.Literal) and _collide(ops, env[out], given[old])
    ]
    return _walk(ops, copies)


def _size(var: Any) -> int:
    shape = getattr(var.aval, "shape", ())
    return math.prod(shape) * int(getattr(var.aval.dtype, "itemsize", 4))


def _inner(equation: Any) -> Any:
    """Returns the function that an equation calls once, if it does."""
    if equation.primitive.name in ("scan", "while", "cond"):
        return None
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if name in equation.params:
            inner = equation.params[name]
            return getattr(inner, "jaxpr", inner)
    return None


def _flat(jaxpr: Any, env: dict[Any, _Value], renamed: set[Any]) -> list[_Op]:
    """Lists the equations, those of called functions in their place."""
    ops: list[_Op] = []
    for each in jaxpr.eqns:
        literal = [isinstance(var, core.Literal) for var in each.invars]
        reads = [
            _Value() if fixed else env[var]
            for var, fixed in zip(each.invars, literal, strict=True)
        ]
        literals = {v for v, fixed in zip(reads, literal, strict=True) if fixed}
        inner = _inner(each)
        if inner is not None:
            local = {v: _Value() for v in inner.constvars}
            local |= dict(zip(inner.invars, reads, strict=True))
            ops += _flat(inner, local, renamed)
            for out, var in zip(each.outvars, inner.outvars, strict=True):
                env[out] = _Value() if isinstance(var, core.Literal) else local[var]
                if not isinstance(var, core.Literal) and var in renamed:
                    renamed.add(out)
        elif each.primitive.name in _RENAMES:
            env.update(zip(each.outvars, reads, strict=False))
            if each.primitive.name in ("reshape", "expand_dims", "squeeze"):
                renamed.update(each.outvars)
        else:
            makes = [_Value(_size(var)) for var in each.outvars]
            env.update(zip(each.outvars, makes, strict=True))
            inside, carried = _inside(each, reads)
            arrays = [value for value in reads if value not in literals]
            ops.append(_Op(each.primitive.name, arrays, makes, inside, carried))
    return ops


def _inside(equation: Any, reads: list[_Value]) -> tuple[int, list[_Value]]:
    """Returns what a loop or branch has in use inside, and what it writes over."""
    params, name = equation.params, equation.primitive.name
    if name == "cond":
        return max(peak_of(_open(b), []) for b in params["branches"]), []
    if name == "scan":
        body, (first, num) = _open(params["jaxpr"]), scan_counts(params)
        pairs = list(zip(body.outvars[:num], body.invars[first:], strict=False))
        return peak_of(body, pairs), reads[first : first + num]
    if name == "while":
        body, first = _open(params["body_jaxpr"]), params["body_nconsts"]
        pairs = list(zip(body.outvars, body.invars[first:], strict=True))
        return peak_of(body, pairs), reads[params["cond_nconsts"] + first :]
    return 0, []


def _open(jaxpr: Any) -> Any:
    return getattr(jaxpr, "jaxpr", jaxpr)


def _with_sums_joined(ops: list[_Op]) -> list[_Op]:
    joined: list[_Op] = []
    for op in ops:
        before = joined[-1] if joined else None
        if (
            before is not None
            and op.name in _SUMS
            and before.name == op.name
            and not set(op.reads) & set(before.makes)
        ):
            before.reads += op.reads
            before.makes += op.makes
        else:
            joined.append(op)
    return joined


def _follow(ops: list[_Op]) -> None:
    """Writes down what each value depends on, and through what."""
    for place, op in enumerate(ops):
        needs = waits = 0
        for value in op.reads:
            needs, waits = needs | value.needs, waits | value.waits
        for value in op.makes:
            stored = op.name not in _LOOPS or (
                op.name in _DEAR and len(value.readers) > 1
            )
            value.needs = needs | 1 << place
            value.waits = needs if stored else waits


def _fuse(ops: list[_Op], direct: set[_Value]) -> None:
    for op in ops:
        for value in op.makes if op.name in _LOOPS else ():
            wide = _joins(op, value)
            value.again = _taken_in(ops, op, value, wide)
            value.fused = value.again and not value.kept
            value.again &= not (wide and value in direct)


def _joins(op: _Op, value: _Value) -> bool:
    """Whether a value is made of several arrays that are about as large."""
    large = sum(1 for each in op.reads if 2 * each.bytes >= value.bytes)
    arguments = any(each.made < 0 for each in op.reads)
    return large > 1 or (arguments and len(op.reads) > 1)


def _taken_in(ops: list[_Op], op: _Op, value: _Value, wide: bool) -> bool:
    """Whether all readers can compute a value themselves."""
    readers = [ops[place] for place in value.readers]
    turned = op.name == "transpose"
    if not all(
        r.name in _LOOPS or (turned and r.name == "dot_general") for r in readers
    ):
        return False
    if len(readers) + value.kept < 2:
        return True
    late = any(v.waits >> value.made & 1 for r in readers for v in r.reads)
    return op.name not in _DEAR and not (wide and late)


def _place(ops: list[_Op]) -> None:
    """Finds where each equation's operands are read in the end."""
    for place, op in reversed(list(enumerate(ops))):
        for value in op.makes:
            if not value.fused:
                op.places |= 1 << place
            for reader in value.readers if value.fused or value.again else ():
                if value.fused or ops[reader].name in _LOOPS:
                    op.places |= ops[reader].places


def _read_at(ops: list[_Op], value: _Value) -> int:
    places = 0
    for reader in value.readers:
        places |= ops[reader].places
    return places


def _last(ops: list[_Op], value: _Value) -> int:
    return max(value.made, _read_at(ops, value).bit_length() - 1)


def _collide(ops: list[_Op], new: _Value, old: _Value) -> bool:
    """Whether something that reads the old value may come after the new one."""
    return new.made >= 0 and bool(_read_at(ops, old) & ~new.needs)


def _walk(ops: list[_Op], copies: list[tuple[int, int]]) -> int:
    ends: defaultdict[int, int] = defaultdict(int)
    live = sum(size for size, _ in copies)
    for size, last in copies:
        ends[last] += size
    top = live
    for place, op in enumerate(ops):
        for value in op.makes:
            if not (value.fused or value.kept):
                live += value.bytes
                ends[_last(ops, value)] += value.bytes
        reused = _reused(ops, place)
        live -= reused
        top = max(top, live + op.inside)
        live += reused - ends[place]
    return top


def _reused(ops: list[_Op], place: int) -> int:
    """Returns how many bytes an equation writes over that nobody reads afterwards."""
    op = ops[place]
    over = [
        value
        for value in dict.fromkeys(op.reads)
        if value.made >= 0
        and not (value.fused or value.kept)
        and _last(ops, value) == place
    ]
    if op.carried:
        return sum(value.bytes for value in over if value in op.carried)
    new = op.makes[0]
    if op.name not in _LOOPS or new.fused or new.kept:
        return 0
    return new.bytes if any(value.bytes == new.bytes for value in over) else 0
