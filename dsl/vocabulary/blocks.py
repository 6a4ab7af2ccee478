"""The blocks of a file: what stands in their heads and in their bodies."""

from dataclasses import dataclass
from typing import Literal

from diamond.dsl.vocabulary.scheme import Distill, Replicas, Train


@dataclass(frozen=True, slots=True)
class BlockForm:
    """What a block looks like.

    Attributes:
        word: The word that opens it.
        head: What follows the word: a term of the family that is named like the
            block, `over` and an axis, or nothing.
        body: What its statements are: settings of a term, axes with their sizes,
            links of axes, or strategies over axes.
        doc: One line for the reference page.
        example: A whole block, for help lines and the reference page.
        term: The term that the settings make, where the head does not name it.
    """

    word: str
    head: Literal["term", "axis", "nothing"]
    body: Literal["settings", "axes", "links", "strategies"]
    doc: str
    example: str
    term: type | None = None


BLOCKS = (
    BlockForm(
        "model", "term", "settings", "what is trained", "model mlp { width = 256 }"
    ),
    BlockForm(
        "data",
        "term",
        "settings",
        "what it is trained on",
        "data digits { batch = 256 }",
    ),
    BlockForm(
        "train",
        "nothing",
        "settings",
        "how it is trained",
        "train { optimizer = adamw(lr = 1e-3); steps = 1000 }",
        Train,
    ),
    BlockForm(
        "hardware",
        "nothing",
        "links",
        "the network that each axis crosses",
        "hardware { link site = 1 Gbit/s, 30 ms }",
    ),
    BlockForm(
        "mesh",
        "nothing",
        "axes",
        "the axes of the device mesh, from the slowest links to the fastest",
        "mesh { site = 2; host = 4 }",
    ),
    BlockForm(
        "parallelism",
        "nothing",
        "strategies",
        "how one model is cut up over an axis",
        "parallelism { zero(stage = 3) over host }",
    ),
    BlockForm(
        "replicas",
        "axis",
        "settings",
        "copies of the model over an axis, and how they agree",
        "replicas over site { consistency = local(every = 50) }",
        Replicas,
    ),
    BlockForm(
        "distill",
        "nothing",
        "settings",
        "one model that is trained on what the members of an ensemble predict",
        "distill { model = mlp(width = 32); steps = 500 }",
        Distill,
    ),
)


def form_named(word: str) -> BlockForm | None:
    """Returns the form of the block that a word opens.

    Example:
        >>> form_named("mesh").body
        'axes'
    """
    return next((form for form in BLOCKS if form.word == word), None)
