"""What both sides share: the scheme, its data, the initial weights, the rates.

PyTorch's side reads them all from the schemes of Diamond's, so that the two cannot
differ by an oversight.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import diamond
from diamond.compiler.task import Task
from diamond.dsl.vocabulary.training import Call, Transformer
from diamond.runtime.data import Dataset
from diamond.runtime.optimizers import build_schedule
from diamond.runtime.tasks import make_task

SCHEMES = Path(__file__).parent / "schemes"


class AdamW(NamedTuple):
    """The optimizer's settings.

    Attributes:
        rates: The learning rate of every step.
        b1: Decay of the mean.
        b2: Decay of the square.
        eps: What is added to the root.
        weight_decay: Pull to zero, times the rate.
    """

    rates: tuple[float, ...]
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 1e-4


class Contest(NamedTuple):
    """What is trained.

    Attributes:
        scheme: The scheme.
        model: Its model.
        data: Its data; rank r of n takes the r-th of n equal parts of each batch.
        task: Its task.
    """

    scheme: diamond.Scheme
    model: Transformer
    data: Dataset
    task: Task

    def initial(self) -> dict[str, Any]:
        """Returns the weights that a run of the scheme starts from, as NumPy arrays."""
        key = jax.random.key(self.scheme.train.seed)
        return jax.tree.map(np.asarray, jax.jit(self.task.init)(key))

    def adamw(self) -> AdamW:
        """Returns the settings of the optimizer."""
        train = self.scheme.train
        settings = dict(train.optimizer.arguments)
        rate = settings.pop("learning_rate")
        assert train.optimizer.name == "adamw" and isinstance(rate, Call)
        rate_of = build_schedule(rate, train.steps)
        rates = tuple(float(rate_of(step)) for step in range(train.steps))
        return AdamW(rates, **settings)


def open_contest(name: str = "ddp", overrides: Sequence[str] = ()) -> Contest:
    """Opens one of the schemes beside this file.

    Args:
        name: The name of its file.
        overrides: As after `--set`.
    """
    scheme = diamond.load(SCHEMES / f"{name}.diamond", overrides)
    assert isinstance(scheme.model, Transformer)
    data = diamond.open_data(scheme)
    return Contest(scheme, scheme.model, data, make_task(scheme, data))
