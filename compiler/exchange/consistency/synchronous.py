"""Synchronous: gradients are averaged over the axis at every step.

    g <- mean of g_i

Bill: one mean of the gradients a step.
Limits: with `none` and equal shares of the batch it is training on one device with
the whole batch.

References: J. Dean et al., Large Scale Distributed Deep Networks, NIPS 2012; S. Li et
al., PyTorch Distributed, arXiv 2006.15704, 2020.
"""

from diamond.compiler.exchange.contract import Leaves, Rule


def synchronous() -> Rule:
    """Returns the rule that averages gradients at every step.

    Example:
        >>> rule = synchronous()
        >>> rule.accept([4.0], [2.0], [0.0], ())
        ([2.0], ())
    """

    def accept(
        gradients: Leaves, mean: Leaves, x: Leaves, state: tuple[()]
    ) -> tuple[Leaves, tuple[()]]:
        return mean, state

    return Rule(
        subject="gradients",
        every=1,
        init=lambda params, mean: (),
        offer=lambda gradients, x, state: gradients,
        accept=accept,
        equations=("g <- mean[g]",),
    )
