"""All rules, in one table."""

from collections.abc import Callable, Iterator

from diamond.dsl.legality import (
    axes,
    built,
    codecs,
    limits,
    models,
    periods,
    phases,
    training,
)
from diamond.dsl.legality.finding import Finding
from diamond.dsl.vocabulary.scheme import Scheme

Rule = Callable[[Scheme], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    axes.declared_once,
    axes.known,
    axes.one_role,
    axes.some_role,
    axes.links_used,
    built.all_built,
    training.something_declared,
    training.optimizer_known,
    training.warm_up_fits,
    training.batch_divides,
    training.settings_used,
    models.fits_data,
    models.fits_loss,
    models.dims_divide,
    phases.reached,
    phases.tight_inside_loose,
    phases.tight_from_the_start,
    periods.nested,
    periods.phase_lengths,
    periods.end_of_run,
    periods.every_step,
    codecs.feedback,
)


def legality(scheme: Scheme) -> tuple[Finding, ...]:
    """Holds a scheme against every rule between its clauses.

    Example:
        >>> from diamond.dsl.vocabulary import Axis
        >>> [finding] = legality(Scheme("a", mesh=(Axis("host", 2),)))
        >>> finding.message
        'axis `host` of size 2 has no role'
    """
    return tuple(findings(scheme))


def findings(scheme: Scheme) -> Iterator[Finding]:
    """Yields the findings of every rule; of a scheme that is too large, that alone."""
    too_large = list(limits.sizes(scheme))
    yield from too_large
    if not too_large:
        for rule in RULES:
            yield from rule(scheme)
