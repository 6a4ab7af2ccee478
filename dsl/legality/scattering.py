"""Rules about codecs under `zero`: in what form gradients cross to their owners."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding
from diamond.dsl.legality.kinds import ADDITIVE, VECTOR
from diamond.dsl.legality.laid import scattered
from diamond.dsl.suggest import listed
from diamond.dsl.vocabulary.compression import Dgc, OneBit, Ternary, TopK
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import COMPRESSION, word_of

# Why a codec has no form in which each piece of a gradient goes to another member.
_REASONS: tuple[tuple[tuple[type, ...], str], ...] = (
    (ADDITIVE, "its code is one that all members agree on and add up as a whole"),
    ((TopK, Dgc), "it picks the largest values of whole tensors"),
    ((Ternary,), "its scale is one that all members agree on"),
    ((OneBit,), "it compresses Adam's momentum, of which a member has its shard alone"),
)


def codecs_fit(scheme: Scheme) -> Iterator[Finding]:
    """A codec under `zero` codes each piece of a gradient by itself."""
    expected = listed(row.name for row in COMPRESSION if row.term in VECTOR)
    for axis, part in scattered(scheme):
        if isinstance(part.term, VECTOR):
            continue
        word = word_of(part.term)
        reason = next(why for kinds, why in _REASONS if isinstance(part.term, kinds))
        yield Finding(
            "D120",
            f"`{word}` does not go with `zero` over `{axis.name}`: each member sends "
            f"a piece of its gradient to each owner, and {reason}",
            part.path,
            expected=expected,
            help="take one of these, which code each block of values by itself, or "
            f"`{word}` over an axis of replicas",
            labels=((("parallelism", axis.name), "gradients are scattered here"),),
        )


def codecs_are_used(scheme: Scheme) -> Iterator[Finding]:
    """A codec under `zero` has an axis to cross."""
    for axis, part in scattered(scheme):
        if axis.size == 1:
            yield Finding(
                "D066",
                f"`compression` of `zero` over `{axis.name}` has no effect: nothing "
                "crosses an axis of size 1",
                part.path,
                expected="an axis of several devices, or no `compression`",
                labels=((("mesh", axis.name), "its size"),),
                severity="warning",
            )


def tensors_reached(scheme: Scheme, coded: int) -> Iterator[Finding]:
    """A codec under `zero` codes some tensor.

    Args:
        scheme: The scheme.
        coded: Tensors of its model that are not too small for the codec.
    """
    for axis, part in scattered(scheme):
        if coded == 0 and axis.size > 1:
            word = word_of(part.term)
            yield Finding(
                "D122",
                f"`{word}` of `zero` over `{axis.name}` codes no tensor of the model: "
                f"none that is not excluded fills a block on each of {axis.size} "
                "devices",
                part.path,
                expected="smaller blocks, or no `compression`",
                help="make the blocks smaller, or leave `compression` out",
                labels=((("mesh", axis.name), f"{axis.size} devices"),),
            )
