"""Rules about the logical names of dims, which say what a tensor axis cuts.

Of a model of the caller's own, a parameter has the names of the first rule `shard` that
matches its path; else those that the module gives it; else none, and is whole.
"""

import difflib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from diamond.dsl.legality.finding import Finding, Path, near_multiples
from diamond.dsl.legality.laid import laid
from diamond.dsl.suggest import did_you_mean, listed
from diamond.dsl.vocabulary.parallelism import Tensor
from diamond.dsl.vocabulary.scheme import Axis, Scheme
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.traits import CUT_NAMES, WHOLE_NAMES

MOST_NAMED = 5
Names = tuple[str, ...]
Labels = tuple[tuple[Path, str], ...]


class Named(NamedTuple):
    """A parameter.

    Attributes:
        path: Its keys, joined by `/`.
        shape: Its shape.
        names: What the module calls its dims; empty where it does not say.
    """

    path: str
    shape: tuple[int, ...]
    names: Names = ()


def rule_for(scheme: Scheme, path: str) -> int | None:
    """Returns which rule names the dims of a parameter: the first that matches.

    Example:
        >>> from diamond.dsl.vocabulary import Shard
        >>> rules = (Shard("head/*", ("embed", "vocab")), Shard("*", ("_", "mlp")))
        >>> [rule_for(Scheme("a", shards=rules), path) for path in ("head/w", "up/w")]
        [0, 1]
    """
    matching = (
        place
        for place, rule in enumerate(scheme.shards)
        if fnmatchcase(path, rule.pattern)
    )
    return next(matching, None)


def names_of(scheme: Scheme, tensor: Named) -> Names:
    """Returns the logical names of a parameter's dims."""
    place = rule_for(scheme, tensor.path)
    return tensor.names if place is None else scheme.shards[place].dims


def known(scheme: Scheme) -> Iterator[Finding]:
    """The names in rules are known, and one of them is cut at most."""
    for place, rule in enumerate(scheme.shards):
        path: Path = ("shards", str(place))
        for dim, name in enumerate(rule.dims):
            if name not in (*CUT_NAMES, *WHOLE_NAMES):
                near = did_you_mean(name, (*CUT_NAMES, *WHOLE_NAMES))
                what = f"`{name}`"
                yield _unknown(what, (*path, str(dim)), near, _here(scheme))
        yield from _cut_once(rule.dims, f'"{rule.pattern}"', path, _here(scheme))


def _here(scheme: Scheme) -> Labels:
    return tuple(
        (("parallelism", axis.name), "`tensor` here")
        for axis, _ in laid(scheme, Tensor)
    )


def _unknown(what: str, path: Path, fix: str | None, labels: Labels) -> Finding:
    return Finding(
        "D106",
        f"{what} is no logical name of a dim",
        path,
        expected=f"{listed(CUT_NAMES)}, which a tensor axis cuts, or "
        f"{listed(WHOLE_NAMES)}, which stay whole",
        help=fix,
        labels=labels,
    )


def _cut_once(names: Names, what: str, path: Path, labels: Labels) -> Iterator[Finding]:
    cut = [name for name in names if name in CUT_NAMES]
    if len(cut) > 1:
        yield Finding(
            "D108",
            f"{what} would be cut along two of its dims, `{cut[0]}` and `{cut[1]}`",
            path,
            expected="one dim that a tensor axis cuts",
            help="name one of them `_`, in a rule `shard` for it",
            labels=labels,
        )


def used(scheme: Scheme) -> Iterator[Finding]:
    """Rules are for a tensor axis, and a model that does not name its own dims."""
    if not scheme.shards:
        return
    labels: Labels = ()
    if not any(True for _ in laid(scheme, Tensor)):
        message = "`shard` has no effect: no axis cuts layers"
        expected = "`tensor` over an axis"
    elif scheme.model is not None:
        word = word_of(scheme.model)
        message = f"`shard` has no effect on `{word}`, which names its dims itself"
        expected = "a scheme without `model`, for a model of your own"
        labels = ((("model",), "the model"),)
    else:
        return
    path = ("shards", "0")
    yield Finding(
        "D066", message, path, expected=expected, labels=labels, severity="warning"
    )


def of_parameters(scheme: Scheme, tensors: Sequence[Named]) -> Iterator[Finding]:
    """Yields what is wrong with the names of the parameters of a model.

    Example:
        >>> from diamond.dsl.vocabulary import Parallel, Shard
        >>> scheme = Scheme(
        ...     "a",
        ...     mesh=(Axis("chip", 4),),
        ...     parallelism=(Parallel(Tensor(), "chip"),),
        ...     shards=(Shard("*/w", ("embed", "mlp")),),
        ... )
        >>> [finding] = of_parameters(scheme, [Named("up/w", (8, 6))])
        >>> finding.code, finding.expected
        ('D109', 'a multiple of 4, such as 4 or 8')
    """
    for axis, _ in laid(scheme, Tensor):
        yield from _matching(scheme, tensors, axis)
        found = [each for tensor in tensors for each in _fits(scheme, tensor, axis)]
        yield from found
        is_cut = any(set(names_of(scheme, each)) & {*CUT_NAMES} for each in tensors)
        if axis.size > 1 and not is_cut and not found and not scheme.shards:
            yield _nothing(tensors, axis)


def _matching(
    scheme: Scheme, tensors: Sequence[Named], axis: Axis
) -> Iterator[Finding]:
    """Each rule names the dims of some parameter."""
    paths = [tensor.path for tensor in tensors]
    taken = {rule_for(scheme, path) for path in paths}
    for place, rule in enumerate(scheme.shards):
        if place in taken:
            continue
        earlier = any(fnmatchcase(path, rule.pattern) for path in paths)
        what = "that no rule before it has" if earlier else "of the model"
        near = difflib.get_close_matches(rule.pattern, paths, n=MOST_NAMED, cutoff=0.5)
        named = tuple(dict.fromkeys([*near, *paths]))[:MOST_NAMED]
        more = f", {len(paths) - len(named)} more" * (len(paths) > len(named))
        yield Finding(
            "D107",
            f'`shard`: "{rule.pattern}" matches no parameter {what}',
            ("shards", str(place)),
            expected="a pattern of parameters' paths, such as `*/kernel`",
            help=f"paths are {listed(named, last='and')}{more}",
            labels=_here(scheme),
        )


def _nothing(tensors: Sequence[Named], axis: Axis) -> Finding:
    path = max(tensors, key=lambda each: len(each.shape)).path
    return Finding(
        "D107",
        f"`tensor over {axis.name}` cuts nothing: no parameter of the model has names "
        "for its dims",
        ("parallelism", axis.name),
        expected=f'rules such as `shard "{path}" (embed, mlp)`',
        help="add rules, or names where the module makes its parameters with "
        "`nnx.with_partitioning`",
        labels=_devices(axis),
    )


def _fits(scheme: Scheme, tensor: Named, axis: Axis) -> Iterator[Finding]:
    """A parameter has the dims that are named, and they divide."""
    place, names = rule_for(scheme, tensor.path), names_of(scheme, tensor)
    path: Path = ("parallelism", axis.name)
    if place is not None:
        path = ("shards", str(place))
    else:
        yield from _own(tensor, path, axis)
    if names and len(names) != len(tensor.shape):
        yield _dims(tensor, names, path, axis)
        return
    for name, size in zip(names, tensor.shape, strict=bool(names)):
        if name in CUT_NAMES and size % axis.size:
            yield _uneven(tensor, name, size, path, axis)


def _own(tensor: Named, path: Path, axis: Axis) -> Iterator[Finding]:
    """What a module calls its dims is judged as rules are."""
    for name in dict.fromkeys(tensor.names):
        if name not in (*CUT_NAMES, *WHOLE_NAMES):
            fix = f'a rule such as `shard "{tensor.path}" (...)` goes before the module'
            yield _unknown(f"`{name}` of `{tensor.path}`", path, fix, _devices(axis))
    yield from _cut_once(tensor.names, f"`{tensor.path}`", path, _devices(axis))


def _dims(tensor: Named, names: Names, path: Path, axis: Axis) -> Finding:
    num, wanted = len(tensor.shape), len(names)
    return Finding(
        "D108",
        f"`{tensor.path}` has {num} {_plural(num)}, {tensor.shape}, and the names of "
        f"{wanted}: {', '.join(names)}",
        path,
        expected=f"{num} {'name' if num == 1 else 'names'}",
        help="name each dim, `_` where it stays whole; a rule before this one may "
        "take some parameters out",
        labels=((("parallelism", axis.name), "`tensor` here"),),
    )


def _plural(num: int) -> str:
    return "dim" if num == 1 else "dims"


def _uneven(tensor: Named, name: str, size: int, path: Path, axis: Axis) -> Finding:
    return Finding(
        "D109",
        f"`tensor over {axis.name}` cuts `{name}` of `{tensor.path}`, {tensor.shape}, "
        f"over {axis.size} devices, and {size} is no multiple of {axis.size}",
        path,
        expected=f"a multiple of {axis.size}, such as "
        f"{near_multiples(size, axis.size)}",
        help="change the model, or the size of the axis, or let a rule `shard` write "
        "`_` for this dim",
        labels=_devices(axis),
    )


def _devices(axis: Axis) -> Labels:
    return ((("mesh", axis.name), f"{axis.size} devices"),)
