"""The families of the language: one table each, a row a member.

A row with `built=False` is known to the language and refused by name, since the
compiler does not implement it.
"""

from dataclasses import dataclass

from diamond.dsl.vocabulary import centralization as who
from diamond.dsl.vocabulary import compression as form
from diamond.dsl.vocabulary import consistency as when
from diamond.dsl.vocabulary import parallelism as roles
from diamond.dsl.vocabulary import training


@dataclass(frozen=True, slots=True)
class Row:
    """A member of a family: its word in the language and its dataclass."""

    name: str
    term: type
    built: bool = True


MODELS = (
    Row("mlp", training.Mlp),
    Row("convnet", training.ConvNet),
    Row("transformer", training.Transformer),
)
DATA = (
    Row("digits", training.Digits),
    Row("text", training.Text),
    Row("arrays", training.Arrays),
)
LOSSES = (
    Row("cross_entropy", training.CrossEntropy),
    Row("mean_squared_error", training.MeanSquaredError),
)
CENTRALIZATION = (
    Row("allreduce", who.AllReduce),
    Row("parameter_server", who.ParameterServer, built=False),
    Row("gossip", who.Gossip, built=False),
)
CONSISTENCY = (
    Row("synchronous", when.Synchronous),
    Row("pipelined", when.Pipelined, built=False),
    Row("stale_synchronous", when.StaleSynchronous, built=False),
    Row("asynchronous", when.Asynchronous, built=False),
    Row("hogwild", when.Hogwild, built=False),
    Row("local", when.Local),
    Row("elastic", when.Elastic, built=False),
)
OUTER = (
    Row("average", when.Average),
    Row("nesterov", when.Nesterov),
    Row("slowmo", when.SlowMo, built=False),
    Row("bmuf", when.Bmuf, built=False),
)
DELAYS = (Row("delays", when.Delays, built=False),)
COMPRESSION = (
    Row("none", form.NoCompression),
    Row("cast", form.Cast),
    Row("int8", form.Int8),
    Row("int4", form.Int4, built=False),
    Row("qsgd", form.Qsgd, built=False),
    Row("ternary", form.Ternary, built=False),
    Row("sign", form.Sign, built=False),
    Row("onebit", form.OneBit, built=False),
    Row("topk", form.TopK, built=False),
    Row("randomk", form.RandomK, built=False),
    Row("dgc", form.Dgc, built=False),
    Row("powersgd", form.PowerSgd, built=False),
    Row("gradiveq", form.Gradiveq, built=False),
)
STRATEGIES = (
    Row("zero", roles.Zero, built=False),
    Row("tensor", roles.Tensor, built=False),
    Row("sequence", roles.Sequence, built=False),
    Row("pipeline", roles.Pipeline, built=False),
    Row("expert", roles.Expert, built=False),
    Row("features", roles.Features, built=False),
    Row("ensemble", roles.Ensemble, built=False),
)
REDUNDANCY = (Row("coded", roles.Coded, built=False),)

FAMILIES: dict[str, tuple[Row, ...]] = {
    "model": MODELS,
    "data": DATA,
    "loss": LOSSES,
    "centralization": CENTRALIZATION,
    "consistency": CONSISTENCY,
    "outer": OUTER,
    "delays": DELAYS,
    "compression": COMPRESSION,
    "strategy": STRATEGIES,
    "redundancy": REDUNDANCY,
}


def row_of(word: str, family: str) -> Row | None:
    """Returns the member of a family that a word names, where there is one.

    Example:
        >>> row_of("local", "consistency").term.__name__
        'Local'
    """
    return next((row for row in FAMILIES.get(family, ()) if row.name == word), None)


def word_of(term: object) -> str:
    """Returns the word in the language for a term.

    Example:
        >>> word_of(when.Synchronous())
        'synchronous'
    """
    for rows in FAMILIES.values():
        for row in rows:
            if row.term is type(term):
                return row.name
    raise ValueError(f"{type(term).__name__} is not a term of the language")
