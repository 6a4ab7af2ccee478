"""Rules about one model that is trained on what an ensemble predicts."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from diamond.dsl.distillation import student_of
from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.vocabulary.parallelism import Ensemble
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.training import MeanSquaredError

# Where the student's parts stand.
HOMES: dict[Path, Path] = {
    ("model",): ("distill", "model"),
    ("train", "steps"): ("distill", "steps"),
}


def there_are_teachers(scheme: Scheme) -> Iterator[Finding]:
    """What is distilled is an ensemble."""
    if scheme.distill is not None and not _is_ensemble(scheme):
        yield Finding(
            "D119",
            "`distill` trains one model on what an ensemble predicts, and there is no "
            "ensemble",
            ("distill",),
            expected="`ensemble over` an axis in `parallelism`",
            help="leave `distill` out, or give an axis to `ensemble`",
            needs=(("parallelism",),),
        )


def there_are_probabilities(scheme: Scheme) -> Iterator[Finding]:
    """What members predict are classes or tokens."""
    if scheme.distill is not None and isinstance(scheme.train.loss, MeanSquaredError):
        yield Finding(
            "D119",
            "`distill` compares the probabilities of classes or tokens, and "
            "`mean_squared_error` is for numbers",
            ("distill",),
            expected="loss `cross_entropy`",
            help="leave `distill` out: of numbers, the members' mean is another target",
            labels=((("train", "loss"), "the loss"),),
        )


def student_fits(
    scheme: Scheme, findings: Callable[[Scheme], Iterator[Finding]]
) -> Iterator[Finding]:
    """What the student is trained by is a scheme of its own, on all devices."""
    if scheme.distill is None or not _is_ensemble(scheme):
        return
    known = {(one.code, one.message) for one in findings(replace(scheme, distill=None))}
    for one in findings(student_of(scheme)):
        if one.severity == "error" and (one.code, one.message) not in known:
            yield replace(
                one,
                path=_home(one.path, scheme),
                labels=tuple((_home(path, scheme), text) for path, text in one.labels),
                needs=tuple(_home(path, scheme) for path in one.needs),
                help="; ".join(filter(None, [one.help, _ABOUT])),
            )


_ABOUT = "this is about the student of `distill`, which all devices train as replicas"


def _home(path: Path, scheme: Scheme) -> Path:
    """Returns where a part of the student's scheme was written."""
    assert scheme.distill is not None
    for part, home in HOMES.items():
        given = part != ("model",) or scheme.distill.model is not None
        if path[: len(part)] == part and given:
            return (*home, *path[len(part) :])
    return path


def _is_ensemble(scheme: Scheme) -> bool:
    return any(isinstance(each.strategy, Ensemble) for each in scheme.parallelism)
