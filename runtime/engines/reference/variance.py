"""The second moment of 1-bit Adam, which is frozen once momenta cross as signs.

After the update of a step from then on, with t Adam's count after it, the second
moment nu of every leaf is put back to

    nu (1 - b2^t) (1/(1 - b2^(t-1)))

of nu before the update, so that with Adam's own correction of its bias, nu/(1 - b2^t),
it stays what it was. The 0 of an optimizer that was reset stays 0.

Tang et al., "1-bit Adam", arXiv 2102.02888, 2021.
"""

from typing import Any

import jax
import numpy as np
import optax


def frozen(b2: float | None, before: Any, after: Any) -> Any:
    """Returns the optimizer's state after an update, with the second moment put back.

    Example:
        >>> adam = optax.scale_by_adam()
        >>> before = adam.init(np.ones(1))._replace(count=1, nu=np.ones(1))
        >>> frozen(0.5, before, before._replace(count=2, nu=np.zeros(1))).nu
        array([1.5])
    """
    assert b2 is not None

    def put_back(old: Any, new: Any) -> Any:
        if not _is_adam(new):
            return new
        t = int(new.count)
        factor = (1 - b2**t) / (1 - b2 ** (t - 1)) if t > 1 else 1.0
        nu = jax.tree.map(lambda leaf: np.asarray(leaf) * factor, old.nu)
        return new._replace(nu=nu)

    return jax.tree.map(put_back, before, after, is_leaf=_is_adam)


def _is_adam(part: Any) -> bool:
    return isinstance(part, optax.ScaleByAdamState)
