"""Rules about compression."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, phase_path
from diamond.dsl.vocabulary.compression import Cast
from diamond.dsl.vocabulary.schedule import phases_of
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of


def feedback(scheme: Scheme) -> Iterator[Finding]:
    """A codec that errs to one side keeps what was lost; a plain cast need not."""
    for replicas in scheme.replicas:
        for index, phase in enumerate(phases_of(replicas.compression)):
            codec: object = phase.value
            without = getattr(codec, "feedback", True) is False
            if without and not isinstance(codec, Cast):
                path = phase_path(replicas, "compression", index)
                yield Finding(
                    "D061",
                    f"`{word_of(codec)}` over `{replicas.axis}` without feedback: "
                    "what it rounds away is lost at every exchange",
                    (*path, "feedback"),
                    expected="`feedback = true`, the default",
                    help="without it training may stall at a higher loss",
                    severity="warning",
                )
