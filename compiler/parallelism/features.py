"""Feature parallelism: each device holds some columns of the data.

Every device of the axis sees the same examples, and of each some columns x_k with the
rows A_k of the first layer that belong to them. The products are summed:

    h = sum over k of x_k A_k     the columns of no device leave it
    dA_k = x_k^T dh               its rows are updated where they are

All that follows, the loss too, is whole on every device and computed alike from the
same sum, so that no other gradient has to be sent: copies stay equal bit for bit.

The columns of an example `[columns]` are its values; of an example with more dims they
are cut along the first one (an image, along its rows), before it is flattened. They are
cut in equal parts, in order: device k of N holds the k-th part.

Bill: `[examples, width]` of the first layer is summed once in a step; nothing goes
back. A device holds 1/N of the first layer and all of the others.

Limits: with one device, and in what is computed, it is training on one device. Without
hidden layers it is a linear model over columns that several parties hold.

Traps: the targets are on all devices. This is the computation of vertical federated
learning, not its privacy: sums are sent as they are, and whoever has them and the
targets learns something about the columns of others.

References: Q. Yang, Y. Liu, T. Chen and Y. Tong, "Federated machine learning: concept
and applications", ACM Transactions on Intelligent Systems and Technology, 2019, arXiv
1902.04885; section 2.2 calls it vertical.
"""

from collections.abc import Mapping, Sequence

import jax

from diamond.compiler.plan import MeshAxis
from diamond.dsl import vocabulary as words
from diamond.dsl.legality.finding import near_multiples

COLUMNS = "features"
INPUTS = "x"  # the array of a batch that models of the language take


def columns_axis(axes: Sequence[MeshAxis]) -> MeshAxis | None:
    """Returns the axis whose devices hold some columns each, if there are several.

    Example:
        >>> party = MeshAxis("party", 2, strategy=words.Features())
        >>> columns_axis([MeshAxis("site", 4), party]).name
        'party'
    """
    return next(
        (a for a in axes if isinstance(a.strategy, words.Features) and a.size > 1),
        None,
    )


def with_columns_cut(
    axes: Sequence[MeshAxis], share: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes of a share of which each device has some columns only.

    Raises:
        ValueError: If an example has no columns, or a number that does not divide.
    """
    axis, shapes = columns_axis(axes), dict(share)
    if axis is None or INPUTS not in shapes:
        return shapes
    whole = shapes[INPUTS]
    over = f"`features over {axis.name}`"
    if len(whole.shape) < 2:
        raise ValueError(
            f"{over} cuts the columns of examples, and an example's `{INPUTS}` is a "
            "single value"
        )
    examples, columns, *rest = whole.shape
    if columns % axis.size:
        of = "columns" if not rest else f"rows of {' x '.join(map(str, rest))} values"
        raise ValueError(
            f"{over} cuts {columns} {of} of an example into {axis.size} equal parts: "
            f"take {near_multiples(columns, axis.size)}, or another size of "
            f"`{axis.name}`"
        )
    here = (examples, columns // axis.size, *rest)
    shapes[INPUTS] = jax.ShapeDtypeStruct(here, whole.dtype)
    return shapes
