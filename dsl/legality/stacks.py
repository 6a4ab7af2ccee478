"""Rules about a model of the caller's own in a pipeline: alike blocks, and two ends.

A pipeline takes a module apart by the names of its parts: `embed`, a list `blocks`, and
`head`. What they are like is known once the module is made.
"""

from collections.abc import Iterator
from typing import NamedTuple

from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.legality.laid import spread
from diamond.dsl.legality.pipelines import apart, size_of, uneven
from diamond.dsl.vocabulary.parallelism import Features, Pipeline, Sequence, Tensor
from diamond.dsl.vocabulary.scheme import Axis, Scheme
from diamond.dsl.vocabulary.tables import word_of

CALL = "head(blocks[-1](.. blocks[0](embed(x))))"
ZERO = "take `zero`, which cuts the parameters of any model"


class Parts(NamedTuple):
    """What a module is made of.

    Attributes:
        name: What its class is called.
        lacking: What is not as a pipeline needs it, each in words.
        blocks: Of each block the names of its parameters, with their types.
        shared: Pairs of paths of one parameter that blocks share.
        outside: Paths of parameters that are in no part.
    """

    name: str
    lacking: tuple[str, ...] = ()
    blocks: tuple[tuple[tuple[str, str], ...], ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    outside: tuple[str, ...] = ()


def of_parts(scheme: Scheme, parts: Parts) -> Iterator[Finding]:
    """Yields why a module cannot be taken apart.

    Example:
        >>> from diamond.dsl.vocabulary import Parallel
        >>> scheme = Scheme(
        ...     "a",
        ...     mesh=(Axis("stage", 2),),
        ...     parallelism=(Parallel(Pipeline(), "stage"),),
        ... )
        >>> [finding] = of_parts(scheme, Parts("Net", blocks=((),) * 3))
        >>> finding.code, finding.expected
        ('D101', 'a multiple of 2, such as 2 or 4')
    """
    for axis, term in spread(scheme, Pipeline):
        yield from _companions(scheme, axis)
        yield from _not_made_so(parts, axis)
        yield from _unequal(parts, axis)
        num = len(parts.blocks)
        if not parts.lacking and num % (axis.size * term.chunks):
            fix = f"change `blocks` of `{parts.name}`, or the size of `{axis.name}`"
            yield uneven(axis, term, num, fix)


def _companions(scheme: Scheme, axis: Axis) -> Iterator[Finding]:
    for kind in (Tensor, Sequence, Features):
        for beside, term in spread(scheme, kind):
            yield apart(
                axis,
                ("parallelism", beside.name),
                f"`{word_of(term)}`",
                "the layers of your own model are not written for devices that hold "
                "parts of them",
                "`zero` or replicas",
            )


def _not_made_so(parts: Parts, axis: Axis) -> Iterator[Finding]:
    over, name = f"`pipeline over {axis.name}`", parts.name
    if parts.lacking:
        yield _no_stack(
            axis,
            f"{over} takes `embed`, `blocks` and `head` of your own model apart, and "
            f"{'; '.join(parts.lacking)}",
            f"a list `blocks` of equal modules between `embed` and `head`, and the "
            f"call `{CALL}`",
            f"name the parts of `{name}` so, or {ZERO}",
        )
    for one, other in parts.shared[:1]:
        yield _no_stack(
            axis,
            f"`{one}` and `{other}` of `{name}` are one parameter, and {over} would "
            "put it on several stages",
            "blocks with parameters of their own",
            f"share between `embed` and `head` alone, or {ZERO}",
        )
    if parts.outside:
        yield _no_stack(
            axis,
            f"`{parts.outside[0]}` of `{name}` is in no part that {over} knows",
            "all parameters in `embed`, `blocks` or `head`",
            f"move it into one of them, or {ZERO}",
        )


def _unequal(parts: Parts, axis: Axis) -> Iterator[Finding]:
    """The first block that is not like the first one of all."""
    for place, block in enumerate(parts.blocks):
        odd = sorted(set(block) ^ set(parts.blocks[0]))
        if odd:
            path, _ = odd[0]
            first, here = (dict(b).get(path) for b in (parts.blocks[0], block))
            yield unlike(
                axis,
                f"`blocks/0/{path}` of `{parts.name}` is {first or 'not there'}, and "
                f"`blocks/{place}/{path}` is {here or 'not there'}",
            )
            return


def unlike(axis: Axis, message: str) -> Finding:
    """Blocks cannot take each other's places."""
    return Finding(
        "D124",
        message,
        ("parallelism", axis.name),
        expected="equal blocks, each with outputs like its inputs",
        help="let what differs be in `embed` or `head`",
        labels=(size_of(axis),),
    )


def calls_otherwise(axis: Axis, name: str, why: str) -> Finding:
    """A module computes something else than its parts in a row."""
    return _no_stack(
        axis,
        f"`{name}` is not called as `{CALL}`, which `pipeline over {axis.name}` makes "
        f"of its parts: {why}",
        f"the call `{CALL}`",
        "move what else it does into a part; blocks may differ in nothing but their "
        "parameters",
    )


def loss_uses(axis: Axis, what: str) -> Finding:
    """A loss does more with a model than to call it."""
    return Finding(
        "D125",
        f"your loss {what}, and `pipeline over {axis.name}` has no whole model to give "
        "it: the last stage knows what a call gave, and nothing else",
        ("parallelism", axis.name),
        expected="a loss that calls the model once and judges what comes out",
        help="leave terms of the parameters to the optimizer, as `weight_decay`, or "
        "take `zero`",
        labels=(size_of(axis),),
    )


def _no_stack(axis: Axis, message: str, expected: str, fix: str) -> Finding:
    path: Path = ("parallelism", axis.name)
    return Finding("D123", message, path, expected, fix, (size_of(axis),))
