"""Distillation: the scheme by which an ensemble's student is trained."""

from dataclasses import replace

from diamond.dsl.vocabulary.scheme import Replicas, Scheme


def student_of(scheme: Scheme) -> Scheme:
    """Returns what trains the student: one model, on every device of the mesh a copy.

    Args:
        scheme: A scheme with `distill`.

    Raises:
        ValueError: If it has none.

    Example:
        >>> from diamond.dsl.vocabulary import Axis, Distill, Ensemble, Parallel
        >>> seats = Parallel(Ensemble(), "seat")
        >>> scheme = Scheme(
        ...     "a", mesh=(Axis("seat", 4),), parallelism=(seats,), distill=Distill())
        >>> [each.axis for each in student_of(scheme).replicas]
        ['seat']
    """
    term = scheme.distill
    if term is None:
        raise ValueError(f"scheme `{scheme.name}` has no `distill`")
    return replace(
        scheme,
        name=f"{scheme.name}_student",
        model=scheme.model if term.model is None else term.model,
        train=replace(scheme.train, steps=term.steps),
        parallelism=(),
        replicas=tuple(Replicas(axis.name) for axis in scheme.mesh),
        distill=None,
        shards=(),
    )
