"""The papers behind a scheme: exactly those of the algorithms that it uses."""

from collections.abc import Iterator
from itertools import pairwise

from diamond.dsl.legality.finding import CLAUSES
from diamond.dsl.legality.timeline import Part, outermost_first, parts_of, segments
from diamond.dsl.vocabulary.centralization import AllReduce, Gossip
from diamond.dsl.vocabulary.compression import NoCompression
from diamond.dsl.vocabulary.consistency import Average, Local, Synchronous
from diamond.dsl.vocabulary.fields import fields_of
from diamond.dsl.vocabulary.references import Reference, reference
from diamond.dsl.vocabulary.scheme import Replicas, Scheme
from diamond.dsl.vocabulary.tables import FAMILIES

DATA_PARALLEL = "li2020pytorch"
FEDERATED = "mcmahan2017communication"
DISTILLED = "hinton2015distilling"
COMPRESSED_GOSSIP = "koloskova2019decentralized"
POST_LOCAL = "lin2020dont"
ACCENTS = {"é": r"{\'e}", "ü": r"{\"u}"}
WIDEST = len("archiveprefix")


def citations(scheme: Scheme) -> tuple[Reference, ...]:
    """Returns the papers of what the axes of a scheme do, those of copies first.

    Model, data and optimizer are left to you.

    Example:
        >>> from diamond.dsl.include import preset
        >>> from diamond.dsl.vocabulary import Axis
        >>> site = Axis("site", 2)
        >>> scheme = Scheme("a", mesh=(site,), replicas=(preset("easgd", "site"),))
        >>> [one.key for one in citations(scheme)]
        ['zhang2015deep']
    """
    keys = [key for replicas in outermost_first(scheme) for key in _keys(replicas)]
    for parallel in scheme.parallelism:
        keys += _of_term(parallel.strategy, "strategy")
    keys += [DISTILLED] if scheme.distill else []
    return tuple(reference(key) for key in dict.fromkeys(keys))


def _keys(replicas: Replicas) -> Iterator[str]:
    for clause in CLAUSES:
        for part in parts_of(replicas, clause):
            yield from _of_term(part.term, clause)
    yield from _of_pairs(replicas)


def _of_term(term: object, family: str) -> Iterator[str]:
    for row in FAMILIES[family]:
        if row.term is type(term):
            yield from row.cites
            for field in fields_of(row.term):
                value = getattr(term, field.name)
                for cited, key in field.meaning.cites:
                    other = cited is ... and value != field.default
                    if other or (cited is not ... and value == cited):
                        yield key
                if field.meaning.family:
                    yield from _of_term(value, field.meaning.family)


def _of_pairs(replicas: Replicas) -> Iterator[str]:
    """Yields what no term says alone."""
    for segment in segments(replicas, *CLAUSES):
        center, rule, codec = (part.term for part in segment.parts)
        if isinstance(center, AllReduce) and isinstance(rule, Synchronous):
            yield DATA_PARALLEL
        if isinstance(center, AllReduce) and _averages(rule):
            yield FEDERATED
        if isinstance(center, Gossip) and not isinstance(codec, NoCompression):
            yield COMPRESSED_GOSSIP
    if any(_turns_local(*pair) for pair in pairwise(parts_of(replicas, "consistency"))):
        yield POST_LOCAL


def _averages(rule: object) -> bool:
    """Whether copies train alone and are averaged: federated averaging."""
    return isinstance(rule, Local) and isinstance(rule.outer, Average)


def _turns_local(before: Part, after: Part) -> bool:
    return isinstance(before.term, Synchronous) and isinstance(after.term, Local)


def bibtex(one: Reference) -> str:
    """Writes a paper as an entry of a BibTeX file.

    Example:
        >>> print(bibtex(reference("patarasuk2009bandwidth")))
        @article{patarasuk2009bandwidth,
          title         = {{Bandwidth Optimal All-reduce Algorithms for ...}},
          author        = {Pitch Patarasuk and Xin Yuan},
          journal       = {Journal of Parallel and Distributed Computing},
          year          = {2009},
        }
    """
    venue = "journal" if one.kind == "article" else "booktitle"
    fields = {
        "title": f"{{{one.title}}}",
        "author": " and ".join(one.authors),
        venue: one.venue,
        "year": str(one.year),
        "eprint": one.eprint,
        "archiveprefix": "arXiv" if one.eprint else None,
    }
    lines = (
        f"  {name:<{WIDEST}} = {{{_latex(value)}}},"
        for name, value in fields.items()
        if value
    )
    return "\n".join([f"@{one.kind}{{{one.key},", *lines, "}"])


def _latex(text: str) -> str:
    return "".join(ACCENTS.get(character, character) for character in text)
