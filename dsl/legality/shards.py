"""Rules about axes that one copy of the model is cut up over."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path, near_multiples
from diamond.dsl.legality.timeline import Part, outermost_first, parts_of
from diamond.dsl.vocabulary.centralization import AllReduce
from diamond.dsl.vocabulary.consistency import Asynchronous, Hogwild
from diamond.dsl.vocabulary.parallelism import Ensemble, Tensor, Zero
from diamond.dsl.vocabulary.scheme import Parallel, Scheme
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.training import Mlp, Transformer
from diamond.dsl.vocabulary.traits import NOT_ELEMENTWISE

Dims = list[tuple[str, int, str]]


def _laid(scheme: Scheme) -> list[tuple[Parallel, int]]:
    """Returns the strategies over axes of the mesh, with the axes' sizes."""
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    return [
        (each, sizes[each.axis]) for each in scheme.parallelism if each.axis in sizes
    ]


def _cutting(scheme: Scheme) -> list[tuple[Parallel, int]]:
    """Returns those that cut one copy up."""
    return [pair for pair in _laid(scheme) if not _is_ensemble(pair[0])]


def _is_ensemble(parallel: Parallel) -> bool:
    return isinstance(parallel.strategy, Ensemble)


def once(scheme: Scheme) -> Iterator[Finding]:
    """A strategy is laid over one axis."""
    seen: dict[type, str] = {}
    for parallel, _ in _laid(scheme):
        kind = type(parallel.strategy)
        if kind in seen:
            word = word_of(parallel.strategy)
            yield Finding(
                "D090",
                f"`{word}` is laid over two axes, `{seen[kind]}` and `{parallel.axis}`",
                ("parallelism", parallel.axis),
                expected=f"`{word}` over one axis",
                help="make them one axis of `mesh`, or give one to another strategy",
                labels=((("parallelism", seen[kind]), "the other one"),),
            )
        seen.setdefault(kind, parallel.axis)


def inside_replicas(scheme: Scheme) -> Iterator[Finding]:
    """The axes of one copy stand inside those of the copies."""
    order = [axis.name for axis in scheme.mesh]
    for parallel, _ in _cutting(scheme):
        inside = [
            replicas.axis
            for replicas in outermost_first(scheme)
            if order.index(replicas.axis) > order.index(parallel.axis)
        ]
        if inside:
            yield Finding(
                "D091",
                f"`{word_of(parallel.strategy)} over {parallel.axis}` cuts one copy "
                f"up, and the copies over `{inside[0]}` stand inside it",
                ("parallelism", parallel.axis),
                expected=f"`{inside[0]}` before `{parallel.axis}` in `mesh`",
                help="put the axes of replicas first in `mesh`",
                labels=((("replicas", inside[0]), "replicas over the inner axis"),),
                needs=(("mesh",),),
            )


def layers_divide(scheme: Scheme) -> Iterator[Finding]:
    """The dims of layers that a tensor axis cuts divide by its size."""
    for parallel, size in _laid(scheme):
        if not isinstance(parallel.strategy, Tensor) or scheme.model is None:
            continue
        dims = _dims(scheme)
        if not dims:
            yield _no_layers(scheme, parallel)
        for name, number, what in dims:
            if number % size:
                yield Finding(
                    "D092",
                    f"`tensor over {parallel.axis}` cuts {what} over {size} devices, "
                    f"and {number} is no multiple of {size}",
                    ("parallelism", parallel.axis),
                    expected=f"a multiple of {size}, such as "
                    f"{near_multiples(number, size)}",
                    help=f"change `{name}` of the model, or the size of "
                    f"`{parallel.axis}`",
                    labels=(
                        (("model", name), f"{number}"),
                        (("mesh", parallel.axis), f"{size} devices"),
                    ),
                )


def _dims(scheme: Scheme) -> Dims:
    """Returns the arguments that say what is cut, the sizes and their names."""
    model = scheme.model
    if isinstance(model, Transformer):
        hidden = max(1, round(model.width * model.expansion))
        what = f"the {hidden} hidden units of a feed-forward layer"
        heads = f"the {model.heads} attention heads"
        dims = [("heads", model.heads, heads), ("expansion", hidden, what)]
        if model.kv_heads not in (None, model.heads):
            shared = f"the {model.kv_heads} heads of keys and values"
            dims.append(("kv_heads", model.kv_heads, shared))
        return dims
    if isinstance(model, Mlp):
        return [("width", model.width, f"the {model.width} hidden units of a layer")]
    return []


def _no_layers(scheme: Scheme, parallel: Parallel) -> Finding:
    assert scheme.model is not None
    return Finding(
        "D092",
        f"`tensor over {parallel.axis}` cuts layers up, and those of "
        f"`{word_of(scheme.model)}` are not written for it",
        ("parallelism", parallel.axis),
        expected="model `transformer` or `mlp`",
        help="take `zero`, which cuts the parameters of any model",
        labels=((("model",), "the model"),),
    )


def optimizers_fit(scheme: Scheme) -> Iterator[Finding]:
    """The optimizer updates each value by itself, since a device has a cut of them."""
    call = scheme.train.optimizer
    reason = NOT_ELEMENTWISE.get(call.name)
    for parallel, size in _cutting(scheme):
        if reason and size > 1:
            word = word_of(parallel.strategy)
            yield Finding(
                "D080",
                f"`{call.name}` does not go with `{word}` over `{parallel.axis}`: a "
                f"device updates its cut of each parameter, and {reason}",
                ("train", "optimizer"),
                expected="an optimizer that treats each value by itself: `adamw`",
                help="take another optimizer, or replicas instead of shards",
                labels=((("parallelism", parallel.axis), f"`{word}` here"),),
            )


def exchanges_fit(scheme: Scheme) -> Iterator[Finding]:
    """What the copies exchange has a meaning cut by cut."""
    for parallel, size in _cutting(scheme):
        if size == 1:
            continue
        for replicas in outermost_first(scheme):
            for clause in ("centralization", "consistency"):
                for part in parts_of(replicas, clause):
                    reason = _why_whole(part, parallel)
                    if reason:
                        yield _unfit(part, parallel, *reason)


def _why_whole(part: Part, parallel: Parallel) -> tuple[str, str] | None:
    """Says why a term does not go with cuts, and what does."""
    term = part.term
    if isinstance(term, AllReduce) and term.reduce == "adasum":
        return "adasum weighs whole layers by their norms", "`reduce = mean`"
    if isinstance(term, Hogwild):
        return "hogwild draws the age of each value of a whole copy", "`asynchronous`"
    stage = parallel.strategy.stage if isinstance(parallel.strategy, Zero) else 3
    if isinstance(term, Asynchronous) and stage < 3:
        return (
            f"stage {stage} keeps parameters whole, and their older versions "
            "in shards, which would be gathered once more in each step",
            f"`zero(stage = 3) over {parallel.axis}`",
        )
    return None


def _unfit(part: Part, parallel: Parallel, reason: str, way_out: str) -> Finding:
    path: Path = ("parallelism", parallel.axis)
    word = word_of(parallel.strategy)
    return Finding(
        "D093",
        f"`{word_of(part.term)}` over `{part.axis}` does not go with `{word}` over "
        f"`{parallel.axis}`: {reason}",
        part.path,
        expected=way_out,
        help=f"take {way_out}, or replicas over `{parallel.axis}`",
        labels=((path, "one copy is cut up here"),),
    )
