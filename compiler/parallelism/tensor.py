"""Tensor parallelism: each device holds a part of each layer.

Every device of the axis sees the same examples and holds some attention heads, hidden
units and tokens of the vocabulary. A pair of layers is cut by columns, then by rows:

    h = f(x A_k)             A_k some columns: x enters as it is
    y = sum over k of h B_k  B_k some rows: the parts are summed

On the way back the gradients by x are summed. Of the cross entropy only the peak and
the sum of the exponentials and the picked logit cross: no device ever has all logits.
What has no such dim (norms, and a vocabulary that does not divide) is whole on every
device, and so is its gradient.

A model of the caller's own is cut where rules `shard`, or its module, name dims, and by
XLA's partitioner, which chooses what crosses: the certificate counts that, and does not
hold it against the plan.

Bill: `[examples, tokens, width]` is summed twice a block forward and twice back, and
once each way around the blocks where the vocabulary is cut; the cross entropy sums or
compares `[examples, tokens]` three times.

Limits: with one device, and in what is computed, it is training on one device.

References: M. Shoeybi, M. Patwary, R. Puri, P. LeGresley, J. Casper and B. Catanzaro,
"Megatron-LM: training multi-billion parameter language models using model parallelism",
arXiv 1909.08053, 2019.
"""

from diamond.dsl.vocabulary.traits import CUT_NAMES


def ranks_of(name: str, size: int, ranks: int) -> int:
    """Returns over how many of the devices of an axis a dim is cut: 1 or all.

    Args:
        name: The dim's logical name.
        size: Its size.
        ranks: Devices along the axis.

    Example:
        >>> ranks_of("mlp", 8, 4), ranks_of("mlp", 6, 4), ranks_of("embed", 8, 4)
        (4, 1, 1)
    """
    return ranks if name in CUT_NAMES and size % ranks == 0 else 1
