"""Rules between the optimizer and what is exchanged over the axes."""

from collections.abc import Iterator

from diamond.dsl.emit import format_term
from diamond.dsl.legality.finding import Finding
from diamond.dsl.legality.timeline import Part, outermost_first, parts_of
from diamond.dsl.suggest import listed
from diamond.dsl.vocabulary.centralization import ParameterServer
from diamond.dsl.vocabulary.compression import Dgc, OneBit
from diamond.dsl.vocabulary.optimizers import OPTIMIZERS
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.signatures import Signature
from diamond.dsl.vocabulary.training import Call
from diamond.dsl.vocabulary.traits import NOT_ELEMENTWISE, WITHOUT_MOMENTUM

ADAMS = ("adam", "adamw")
# Arguments of Adam under which its momentum is not the one that `onebit` sends.
NOT_PLAIN = {
    "nesterov": "its step looks at the last gradient by itself, and `onebit` sends "
    "momenta only",
    "mu_dtype": "Adam's momentum is the one that crosses, which has the type of the "
    "parameters",
}


def fit(scheme: Scheme) -> Iterator[Finding]:
    """The optimizer is one that servers and 1-bit Adam can do their part with."""
    call = scheme.train.optimizer
    if _signature(call) is None:  # it is reported as unknown
        return
    for replicas in outermost_first(scheme):
        for part in parts_of(replicas, "centralization"):
            reason = NOT_ELEMENTWISE.get(call.name)
            if isinstance(part.term, ParameterServer) and reason:
                yield _whole_tensors(part, call, reason)
        for part in parts_of(replicas, "compression"):
            if isinstance(part.term, OneBit):
                yield from _plain_adam(part, call)


def _signature(call: Call) -> Signature | None:
    return next((one for one in OPTIMIZERS if one.name == call.name), None)


def _whole_tensors(part: Part, call: Call, reason: str) -> Finding:
    return Finding(
        "D080",
        f"`{call.name}` does not go with `parameter_server` over `{part.axis}`: a "
        f"server updates equal cuts of all parameters, and {reason}",
        ("train", "optimizer"),
        expected="an optimizer that treats each value by itself, such as `adamw`",
        help="take another optimizer, or `allreduce`",
        labels=((part.path, f"`{part.axis}` has a server here"),),
    )


def _plain_adam(part: Part, call: Call) -> Iterator[Finding]:
    if call.name not in ADAMS:
        yield _no_adam(part, call)
        return
    given = dict(call.arguments)
    for name, why in NOT_PLAIN.items():
        if given.get(name):
            written = format_term(given[name])
            yield Finding(
                "D080",
                f"`{name} = {written}` of `{call.name}` does not go with `onebit` over "
                f"`{part.axis}`: {why}",
                ("train", "optimizer", name),
                expected=f"`{call.name}` without `{name}`",
                help=f"leave `{name}` out, or take `sign` for compression",
                labels=((part.path, "`onebit` here"),),
            )


def _no_adam(part: Part, call: Call) -> Finding:
    return Finding(
        "D080",
        f"`{call.name}` does not go with `onebit` over `{part.axis}`, which compresses "
        "Adam's own momentum and freezes its variance",
        ("train", "optimizer"),
        expected=listed(ADAMS),
        help="take one of the two, or `sign` for compression",
        labels=((part.path, "`onebit` here"),),
    )


def momentum_once(scheme: Scheme) -> Iterator[Finding]:
    """DGC brings a momentum along, so the optimizer has none of its own."""
    call = scheme.train.optimizer
    if not _has_momentum(call):
        return
    for replicas in outermost_first(scheme):
        for part in parts_of(replicas, "compression"):
            if isinstance(part.term, Dgc) and part.term.momentum > 0:
                yield Finding(
                    "D069",
                    f"`dgc` over `{part.axis}` has a momentum of "
                    f"{part.term.momentum}, and `{call.name}` has one too: gradients "
                    "are smoothed twice",
                    part.path,
                    expected="an optimizer without momentum, such as `sgd(lr = 0.1)`",
                    help="take the momentum out of one of the two",
                    labels=((("train", "optimizer"), "the other momentum"),),
                    severity="warning",
                )


def _has_momentum(call: Call) -> bool:
    signature = _signature(call)
    if signature is None:
        return False
    parameter = signature.parameter("momentum")
    if parameter is None:
        return call.name not in WITHOUT_MOMENTUM
    return bool(dict(call.arguments).get("momentum", parameter.default))
