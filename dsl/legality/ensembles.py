"""Rules about axes whose members train alone."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.vocabulary.parallelism import Ensemble
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.training import MeanSquaredError, Transformer


def outermost(scheme: Scheme) -> Iterator[Finding]:
    """Members share nothing, so all other axes stand inside of one."""
    order = [axis.name for axis in scheme.mesh]
    for name, _ in _laid(scheme):
        if name in order[1:]:
            outer = order[0]
            yield Finding(
                "D117",
                f"`ensemble over {name}` stands inside `{outer}`: its members share "
                "nothing, and what is laid over "
                f"`{outer}` would join models that never agree",
                ("parallelism", name),
                expected=f"`{name}` as the first axis of `mesh`",
                help=f"put `{name}` first in `mesh`; each member then is a mesh of its "
                "own",
                labels=((("mesh", outer), "the outermost axis"),),
                needs=(("mesh",),),
            )


def votes_are_of_classes(scheme: Scheme) -> Iterator[Finding]:
    """A vote needs a class an example."""
    for name, term in _laid(scheme):
        numbers = isinstance(scheme.train.loss, MeanSquaredError)
        if term.consolidation == "vote" and numbers:
            path: Path = ("train", "loss")
            why = "numbers have no majority"
            yield _no_votes(name, why, path, "its targets are numbers")
        elif term.consolidation == "vote" and isinstance(scheme.model, Transformer):
            why = "tokens are judged by their likelihood"
            yield _no_votes(name, why, ("model",), "it predicts tokens")


def _no_votes(name: str, why: str, path: Path, what: str) -> Finding:
    return Finding(
        "D118",
        f"`consolidation = vote` of `ensemble` over `{name}` has nothing to count: "
        f"{why}",
        ("parallelism", name, "consolidation"),
        expected="`consolidation = average`",
        help="take `average`, which is the default",
        labels=((path, what),),
    )


def _laid(scheme: Scheme) -> Iterator[tuple[str, Ensemble]]:
    for each in scheme.parallelism:
        if isinstance(each.strategy, Ensemble):
            yield each.axis, each.strategy
