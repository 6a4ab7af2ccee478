"""Average: the copies become their mean.

    x <- a - d = mean x_i

with the anchor a (where the copies last met) and the displacement d = mean (a - x_i).

Bill: nothing beyond the mean itself.
Limits: with `every = 1` and SGD inside it is synchronous data parallelism.

References: H. B. McMahan et al., Communication-Efficient Learning of Deep Networks
from Decentralized Data, AISTATS 2017, arXiv 1602.05629 (federated averaging; here all
copies meet, each with the same weight); S. Stich, Local SGD Converges Fast and
Communicates Little, arXiv 1805.09767, 2018.
"""

import jax

from diamond.compiler.exchange.contract import Outer, Tree


def average() -> Outer:
    """Returns the outer step onto the copies' mean.

    Example:
        >>> average().step(5.0, 2.0, ())
        (3.0, ())
    """

    def step(anchor: Tree, moved: Tree, state: tuple[()]) -> tuple[Tree, tuple[()]]:
        return jax.tree.map(lambda a, d: a - d, anchor, moved), state

    equations = ("x <- a - d",)
    return Outer(lambda params: (), step, is_mean=True, equations=equations)
