"""Rules about the model's tensors, which are known once the model is made."""

import difflib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from diamond.dsl.legality.finding import Finding
from diamond.dsl.legality.laid import scattered
from diamond.dsl.legality.streams import layers_suffice
from diamond.dsl.legality.timeline import Part, outermost_first, parts_of
from diamond.dsl.suggest import listed
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of

MOST_NAMED = 5


def of_tensors(scheme: Scheme, paths: Sequence[str]) -> Iterator[Finding]:
    """Yields what is wrong with a scheme for a model whose tensors have these paths.

    Example:
        >>> from diamond.dsl.vocabulary import Axis, Int8, Replicas
        >>> site = Replicas("site", compression=Int8(exclude=("hed/*",)))
        >>> scheme = Scheme("a", mesh=(Axis("site", 2),), replicas=(site,))
        >>> [finding] = of_tensors(scheme, ["hidden/w", "head/w"])
        >>> finding.code, finding.path
        ('D088', ('replicas', 'site', 'compression', 'exclude', '0'))
    """
    yield from layers_suffice(scheme, paths)
    for part in _codecs(scheme):
        patterns = getattr(part.term, "exclude", ())
        for place, pattern in enumerate(patterns):
            if not any(fnmatchcase(path, pattern) for path in paths):
                yield _matches_none(part, place, pattern, paths)


def _codecs(scheme: Scheme) -> Iterator[Part]:
    for replicas in outermost_first(scheme):
        yield from parts_of(replicas, "compression")
    for _, part in scattered(scheme):
        yield part


def _matches_none(
    part: Part, place: int, pattern: str, paths: Sequence[str]
) -> Finding:
    near = difflib.get_close_matches(pattern, paths, n=MOST_NAMED, cutoff=0.5)
    named = tuple(dict.fromkeys([*near, *paths]))[:MOST_NAMED]
    more = len(paths) - len(named)
    return Finding(
        "D088",
        f'`exclude` of `{word_of(part.term)}` over `{part.axis}`: "{pattern}" matches '
        "no tensor of the model",
        (*part.path, "exclude", str(place)),
        expected="a pattern of tensors' names, such as `*/bias` or `head/*`",
        help=f"names are {listed(named, last='and')}" + (f", {more} more" * (more > 0)),
    )
