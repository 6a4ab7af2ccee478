"""What the language refuses over one axis, and what an exchange alone cannot do.

The terms make a scheme of one axis, which the language's own rules judge: what no
`.diamond` file may say, no exchange alone may do.
"""

from collections.abc import Iterable

import jax

from diamond.compiler.timeline import stages_of
from diamond.dsl import vocabulary as words
from diamond.dsl.legality import Finding
from diamond.dsl.suggest import did_you_mean, listed
from diamond.dsl.vocabulary import scheme as families
from diamond.dsl.vocabulary.fields import why_no_name
from diamond.dsl.vocabulary.tables import word_of

ANY_SIZE = 2  # every rule about sizes allows it
_COMPILE = "compile a scheme instead"


def one_axis(
    axis: str,
    size: int | None,
    consistency: families.Consistency,
    compression: families.Compression,
    who: families.Centralization,
) -> words.Scheme:
    """Returns the scheme of one axis and its terms.

    Args:
        axis: Its name; jax takes names that the language does not.
        size: Its members, or None where they are not known yet.
        consistency: What is exchanged, and when.
        compression: Form of the values on the wire.
        who: Who talks to whom.

    Raises:
        TypeError: If a term is none of its family.

    Example:
        >>> terms = words.Synchronous(), words.Int8(), words.AllReduce()
        >>> one_axis("data", 4, *terms).mesh
        (Axis(name='data', size=4),)
    """
    if not isinstance(axis, str):
        raise TypeError(
            f"an exchange runs over one axis, given by its name, not {axis!r}: make an "
            "exchange for each axis"
        )
    name = axis if why_no_name(axis) is None else "axis"
    replicas = words.Replicas(name, who, consistency, compression)
    members = ANY_SIZE if size is None else size
    mesh = (words.Axis(name, members),)
    return words.Scheme("exchange", mesh=mesh, replicas=(replicas,))


def refuse(findings: Iterable[Finding]) -> None:
    """Raises what the language's rules found.

    Raises:
        ValueError: With the code, the reason and the way out of every error.

    Example:
        >>> refuse([Finding("D055", "no", ("replicas",), help="take another codec")])
        Traceback (most recent call last):
        ValueError: D055: no; take another codec
    """
    errors = [_written(one) for one in findings if one.severity == "error"]
    if errors:
        raise ValueError("\n".join(errors))


def _written(one: Finding) -> str:
    expected = None if one.expected is None else f"expected {one.expected}"
    parts = (f"{one.code}: {one.message}", expected, one.help)
    return "; ".join(part for part in parts if part)


def check_steady(replicas: words.Replicas) -> None:
    """Refuses what is legal in a scheme and more than an exchange alone can do.

    Raises:
        ValueError: If a term changes over the steps, or works inside the optimizer.

    Example:
        >>> check_steady(words.Replicas("site", compression=words.PowerSgd(start=10)))
        Traceback (most recent call last):
        ValueError: `powersgd(start = 10)` changes over the steps, and an ...
    """
    for term in (replicas.centralization, replicas.compression):
        if isinstance(term, words.Scheduled):
            raise ValueError(_changes("a schedule"))
    codec = replicas.compression
    if isinstance(codec, words.OneBit):
        raise ValueError(
            "`onebit` works inside Adam: it takes Adam's constants, and after each "
            "update it puts Adam's second moment back, which no transformation of "
            f"gradients can: {_COMPILE}, or give `compression=Sign()`"
        )
    if len(stages_of(codec)) > 1:
        name = "warmup" if isinstance(codec, words.Dgc) else "start"
        raise ValueError(
            _changes(f"`{word_of(codec)}({name} = {getattr(codec, name)})`")
            + f", or give `{name}=0`"
        )


def _changes(what: str) -> str:
    return (
        f"{what} changes over the steps, and an exchange alone is the same at every "
        f"update: {_COMPILE}"
    )


def axis_size(axis: str) -> int:
    """Returns the members along a manual axis.

    Raises:
        ValueError: If there is none of this name here; says which there are.

    Example:
        >>> axis_size("data")
        Traceback (most recent call last):
        ValueError: there is no axis `data` here: an exchange is used inside ...
    """
    try:
        return jax.lax.axis_size(axis)
    except NameError:
        raise ValueError(f"there is no axis `{axis}` here: {_axes(axis)}") from None


def _axes(axis: str) -> str:
    mesh = jax.sharding.get_abstract_mesh()
    manual = list(mesh.manual_axes)
    if axis in mesh.axis_names:
        return (
            "the mesh has it, and `jax.shard_map` leaves it to jax: name it in "
            "`axis_names`, or leave `axis_names` out"
        )
    if manual:
        hint = did_you_mean(axis, manual)
        return f"the manual axes are {listed(manual, 'and')}" + (
            f"; {hint}" if hint else ""
        )
    return (
        "an exchange is used inside `jax.shard_map`, where its axis is manual; `init` "
        "alone may be called outside, with `size` given"
    )
