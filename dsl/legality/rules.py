"""All rules, in two tables."""

from collections.abc import Callable, Iterator

from diamond.dsl.legality import (
    arguments,
    axes,
    built,
    centralizations,
    codecs,
    columns,
    distillation,
    ensembles,
    experts,
    limits,
    models,
    moments,
    names,
    optimizers,
    order,
    periods,
    phases,
    pipelines,
    scattering,
    shards,
    streams,
    tokens,
    training,
    useless,
)
from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.vocabulary.scheme import Scheme

Rule = Callable[[Scheme], Iterator[Finding]]

GENERAL: tuple[Rule, ...] = (
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
    models.blocks_recomputed,
)
# What these say of a term that is not built would be no help.
BETWEEN_TERMS: tuple[Rule, ...] = (
    arguments.fit,
    centralizations.rules_fit,
    centralizations.sizes_fit,
    centralizations.servers_outermost,
    codecs.centers_fit,
    codecs.rules_fit,
    codecs.feedback,
    optimizers.fit,
    optimizers.momentum_once,
    moments.settled,
    phases.reached,
    phases.tight_inside_loose,
    phases.tight_from_the_start,
    phases.one_with_versions,
    order.last,
    order.first,
    order.servers_stay,
    arguments.streaming_alone,
    streams.fragments_fit,
    streams.end_of_run,
    periods.nested,
    periods.averages,
    periods.phase_lengths,
    periods.end_of_run,
    periods.every_step,
    shards.once,
    shards.inside_replicas,
    shards.layers_divide,
    shards.optimizers_fit,
    shards.exchanges_fit,
    names.known,
    names.used,
    scattering.codecs_fit,
    scattering.codecs_are_used,
    ensembles.outermost,
    ensembles.votes_are_of_classes,
    distillation.there_are_teachers,
    distillation.there_are_probabilities,
    columns.there_are_columns,
    columns.columns_divide,
    tokens.there_are_tokens,
    tokens.tokens_divide,
    tokens.heads_divide,
    pipelines.has_blocks,
    pipelines.blocks_divide,
    pipelines.chunks_fit,
    pipelines.groups_are_full,
    pipelines.microbatches_divide,
    pipelines.companions,
    experts.experts_divide,
    experts.choices_fit,
    experts.there_are_layers,
    experts.companions,
    experts.rooms_are_used,
    useless.staleness,
    useless.clocks,
    useless.merging,
    useless.routes,
    useless.starts,
    useless.losses,
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
    """Yields the findings of every rule; of a scheme that is too large, that alone.

    Where a term is not built, that is said of it and nothing else.
    """
    too_large = list(limits.sizes(scheme))
    yield from too_large
    if too_large:
        return
    for rule in GENERAL:
        yield from rule(scheme)
    not_built = {one.path for one in built.all_built(scheme)}
    yielded: set[Finding] = set()
    for rule in BETWEEN_TERMS:
        for finding in rule(scheme):
            if finding not in yielded and not _leans_on(finding, not_built):
                yielded.add(finding)
                yield finding
    yield from distillation.student_fits(scheme, findings)


def _leans_on(finding: Finding, parts: set[Path]) -> bool:
    """Whether a finding is about one of some parts, or about something inside it."""
    paths = (finding.path, *(path for path, _ in finding.labels))
    return any(path[:size] in parts for path in paths for size in range(len(path) + 1))
