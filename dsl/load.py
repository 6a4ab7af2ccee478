"""Loading: from a file or a text, with overrides, to a scheme that is legal."""

import os
from collections.abc import Sequence

from diamond.dsl.argument_names import named
from diamond.dsl.checker import check, placed, places_of
from diamond.dsl.diagnostics import Diagnostic, SchemeError
from diamond.dsl.legality import Refusal, legality
from diamond.dsl.overrides import Sources, override
from diamond.dsl.parser import parse
from diamond.dsl.reading import read_source
from diamond.dsl.source import Source, Span
from diamond.dsl.vocabulary.scheme import Scheme

Loaded = tuple[Scheme, tuple[Diagnostic, ...]]


def load_scheme(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Loaded:
    """Loads the scheme of a file.

    Args:
        path: A `.diamond` file.
        overrides: Texts such as `train.steps=100`, judged like the file itself; one
            text alone is one override.

    Returns:
        The scheme, and what the checker warns of.

    Raises:
        SchemeError: With every error of the file and of the overrides.

    Example:
        >>> scheme, warnings = load_scheme("examples/digits.diamond")  # doctest: +SKIP
    """
    return load_source(read_source(path), overrides)


def load_text(text: str, name: str = "<text>", overrides: Sequence[str] = ()) -> Loaded:
    """Loads a scheme from text.

    Raises:
        SchemeError: With every error of the text and of the overrides.

    Example:
        >>> text = "mesh { host = 2 }; replicas over host { }"
        >>> scheme, _ = load_text(text, overrides=["mesh.host=4"])
        >>> scheme.mesh
        (Axis(name='host', size=4),)
    """
    return load_source(Source(name, text), overrides)


def load_source(source: Source, overrides: Sequence[str] = ()) -> Loaded:
    """Loads a scheme from a source; see `load_scheme`."""
    scheme, found = diagnose(source, overrides)
    if scheme is None:
        raise SchemeError(found, source)
    return scheme, found


def diagnose(
    source: Source, overrides: Sequence[str] = ()
) -> tuple[Scheme | None, tuple[Diagnostic, ...]]:
    """Says everything that is wrong with a source, and what it means if nothing is.

    Example:
        >>> scheme, found = diagnose(Source("a.diamond", "mesh { host = 0; }"))
        >>> found[0].message
        'the size of axis `host` must be at least 1, not 0'
    """
    file, problems = parse(source)
    if file is None:
        return None, problems
    problems = tuple(named(problem, source) for problem in problems)
    damage = tuple(one.span or Span(0, 0) for one in problems)
    sources = Sources(source)
    if overrides:
        texts = [overrides] if isinstance(overrides, str) else overrides
        file, sources, refused = override(file, source, texts)
        problems = (*problems, *refused)
    scheme, found = check(file, source, damage)
    found = tuple(one for one in found if not _is_cut_short(one, sources))
    everything = [sources.home(one) for one in _by_place((*problems, *found))]
    return (None if problems else scheme), tuple(everything)


def located(
    refusal: Refusal, source: Source, overrides: Sequence[str] = ()
) -> SchemeError:
    """Gives what was found in a scheme later on its places in the scheme's source.

    Args:
        refusal: What only the model's tensors show to be wrong.
        source: What the scheme was loaded from, without an error.
        overrides: What it was loaded with.
    """
    file, _ = parse(source)
    assert file is not None, "the source was read before"
    sources = Sources(source)
    if overrides:
        file, sources, _ = override(file, source, overrides)
    places = places_of(file)
    found = (sources.home(placed(finding, places)) for finding in refusal.findings)
    return SchemeError(tuple(found), source)


def _is_cut_short(one: Diagnostic, sources: Sources) -> bool:
    """Whether a setting of the file has no effect since an override shortens the run.

    A short run of a scheme is not the place to speak of its long intervals.
    """
    if one.code != "D066" or not one.labels or one.span is None:
        return False
    return sources.is_in_file(one.span) and not sources.is_in_file(one.labels[0].span)


def _by_place(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    return sorted(found, key=lambda one: one.span or Span(0, 0))


def verify_scheme(scheme: Scheme) -> tuple[Diagnostic, ...]:
    """Holds a scheme that was built in Python against the same rules as a text.

    Returns:
        The warnings.

    Raises:
        SchemeError: With every error, without places.

    Example:
        >>> from diamond.dsl.vocabulary import Axis
        >>> verify_scheme(Scheme("a", mesh=(Axis("host", 2),)))
        Traceback (most recent call last):
        diamond.dsl.diagnostics.SchemeError: D042 axis `host` of size 2 has no role
    """
    found = tuple(finding.diagnostic() for finding in legality(scheme))
    if any(one.severity == "error" for one in found):
        raise SchemeError(found)
    return found
