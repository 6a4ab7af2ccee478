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
    """A member of a family.

    Attributes:
        name: Its word in the language.
        term: Its dataclass.
        built: Whether the compiler implements it.
        cites: The keys of the papers that it comes from.
    """

    name: str
    term: type
    built: bool = True
    cites: tuple[str, ...] = ()


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
    Row("parameter_server", who.ParameterServer, cites=("li2014scaling",)),
    Row("gossip", who.Gossip, cites=("lian2017can",)),
)
CONSISTENCY = (
    Row("synchronous", when.Synchronous),
    Row("pipelined", when.Pipelined, cites=("li2018pipe",)),
    Row("stale_synchronous", when.StaleSynchronous, cites=("ho2013more",)),
    Row("asynchronous", when.Asynchronous, cites=("dean2012large",)),
    Row("hogwild", when.Hogwild, cites=("niu2011hogwild",)),
    Row("local", when.Local, cites=("stich2018local",)),
    Row("elastic", when.Elastic, cites=("zhang2015deep",)),
)
OUTER = (
    Row("average", when.Average),
    Row("nesterov", when.Nesterov, cites=("douillard2023diloco",)),
    Row("slowmo", when.SlowMo, cites=("wang2020slowmo",)),
    Row("bmuf", when.Bmuf, cites=("chen2016scalable",)),
)
DELAYS = (Row("delays", when.Delays),)
COMPRESSION = (
    Row("none", form.NoCompression),
    Row("cast", form.Cast),
    Row("int8", form.Int8, cites=("dettmers2016bit",)),
    Row(
        "int4",
        form.Int4,
        cites=("dettmers2016bit", "dettmers2022bit"),
    ),
    Row("qsgd", form.Qsgd, cites=("alistarh2017qsgd",)),
    Row("ternary", form.Ternary, cites=("wen2017terngrad",)),
    Row("sign", form.Sign, cites=("bernstein2018signsgd",)),
    Row("onebit", form.OneBit, cites=("tang2021bit",)),
    Row(
        "topk",
        form.TopK,
        cites=("stich2018sparsified", "alistarh2018convergence"),
    ),
    Row("randomk", form.RandomK, cites=("stich2018sparsified",)),
    Row("dgc", form.Dgc, cites=("lin2018deep",)),
    Row("powersgd", form.PowerSgd, cites=("vogels2019powersgd",)),
    Row("gradiveq", form.Gradiveq, cites=("yu2018gradiveq",)),
)
STRATEGIES = (
    Row("zero", roles.Zero, cites=("rajbhandari2020zero",)),
    Row("tensor", roles.Tensor, cites=("shoeybi2019megatron",)),
    Row("sequence", roles.Sequence),
    Row("pipeline", roles.Pipeline),
    Row(
        "expert",
        roles.Expert,
        cites=("shazeer2017outrageously", "lepikhin2021gshard", "fedus2022switch"),
    ),
    Row("features", roles.Features, cites=("yang2019federated",)),
    Row("ensemble", roles.Ensemble, cites=("lakshminarayanan2017simple",)),
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
