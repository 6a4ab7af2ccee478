"""Held-out accuracy on the digits of every rule, centralization and codec.

Eight replicas, the convnet of `examples/digits.diamond`; each term stands with its
default settings, and one choice of three is not the default unless it must be.
"""

from typing import NamedTuple

import jax

import diamond
from diamond.dsl.load import load_text

STEPS = 1000
ADAMW = "adamw(lr = warmup_cosine(peak = 5e-3, warmup = 30 steps), weight_decay = 0.01)"
SGD = "sgd(lr = warmup_cosine(peak = 0.1, warmup = 30 steps))"
MOMENTUM = "sgd(lr = warmup_cosine(peak = 0.02, warmup = 30 steps), momentum = 0.9)"
SIGN_SGD = "sgd(lr = warmup_cosine(peak = 1e-3, warmup = 30 steps))"
TEXT = """
scheme convergence

model convnet {{ channels = 32; stages = 2; width = 64 }}

data digits {{ batch = 128 }}

train {{ optimizer = {optimizer}; steps = {steps} }}

mesh {{ chip = 8 }}

replicas over chip {{
  centralization = {centralization}
  consistency = {consistency}
  compression = {compression}
}}
"""


class Case(NamedTuple):
    """A scheme, as the language writes its choices."""

    consistency: str = "synchronous"
    centralization: str = "allreduce"
    compression: str = "none"
    optimizer: str = ADAMW

    def __str__(self) -> str:
        plain = Case()
        pairs = zip(self[:3], plain[:3], strict=True)
        words = [mine for mine, other in pairs if mine != other]
        return ", ".join(words) or "synchronous"


BASELINES = tuple(Case(optimizer=each) for each in (ADAMW, SGD, MOMENTUM))
RULES = (
    "pipelined",
    "stale_synchronous",
    "asynchronous",
    "asynchronous(compensation = damped)",
    "asynchronous(compensation = dc)",
    "hogwild",
    "local(every = 10)",
    "local(every = 10, outer = nesterov)",
    "local(every = 10, outer = slowmo)",
    "local(every = 10, outer = bmuf)",
    "local(every = 10, state = average)",
    "local(every = 10, state = reset)",
    "local(every = 10, outer = nesterov, fragments = 2, delay = 1, merge = 0.5)",
    "elastic",
    "synchronous for 100 steps, then local(every = 10)",
)
CENTRALIZATIONS = (
    "allreduce(algorithm = ring)",
    "allreduce(algorithm = tree)",
    "allreduce(algorithm = two_phase)",
    "allreduce(reduce = adasum)",
    "parameter_server",
    "parameter_server(shards = 1, backup = 1)",
    "gossip",
    "gossip(push_sum = true)",
    "gossip(topology = ring)",
    "gossip(topology = hypercube)",
    "gossip(topology = pairs)",
    "gossip(topology = complete)",
    "gossip(topology = chain, push_sum = true)",
)
CODECS = (
    "cast(to = bf16)",
    "cast(to = fp16)",
    "cast(to = fp8_e4m3)",
    "cast(to = fp8_e5m2)",
    "int8",
    "int4",
    "qsgd",
    "ternary",
    "onebit(start = 250)",
    "topk",
    "randomk",
    "powersgd",
    "gradiveq",
)
CASES = (
    *(Case(consistency=rule) for rule in RULES),
    *(Case(centralization=who) for who in CENTRALIZATIONS),
    *(Case(compression=codec) for codec in CODECS),
    # Signs with feedback are a method for SGD; momentum is DGC's own; and a vote has
    # the size of the learning rate.
    Case(compression="sign", optimizer=SGD),
    Case(compression="dgc", optimizer=SGD),
    Case(
        centralization="allreduce(reduce = majority)",
        compression="sign(feedback = false)",
        optimizer=SIGN_SGD,
    ),
    Case(compression="sign(feedback = false)", optimizer=SGD),
)


def accuracy(case: Case) -> float:
    """Returns the held-out accuracy of a run, in percent."""
    text = TEXT.format(**case._asdict(), steps=STEPS)
    scheme, _ = load_text(text)
    program, data = diamond.compile(scheme), diamond.open_data(scheme)
    state = program.init(jax.random.key(scheme.train.seed))
    for step in range(STEPS):
        state, _ = program.step(state, data.batch_at(step))
    return 100 * program.evaluate(state, data.held_out())["accuracy"]
