"""Codecs that begin gently: which one is in force after how many steps.

`powersgd(start = n)`
    `none` for n steps, then `powersgd`
`dgc(density, warmup = W)`, in the stages s = 0, 1, 2, 3 of W/4 steps each
    `dgc` with the density 4^-(s + 1), or the final one where that is larger
    (Lin et al., "Deep gradient compression", arXiv 1712.01887, 2018)

What such a codec remembers is shared by its stages. `onebit` counts its own dense
steps, for it averages momenta in them.
"""

from dataclasses import replace
from typing import Any

from diamond.dsl.vocabulary import Call, Dgc, NoCompression, OneBit, PowerSgd

STAGES = 4
OPTAX_BETAS = {"b1": 0.9, "b2": 0.999}


def in_force(term: Any, steps: int) -> Any:
    """Returns what a codec is after some steps of its phase.

    Example:
        >>> [in_force(Dgc(density=0.1, warmup=8), t).density for t in (0, 2, 4, 8)]
        [0.25, 0.1, 0.1, 0.1]
        >>> in_force(PowerSgd(start=3), 2)
        NoCompression()
    """
    if isinstance(term, PowerSgd):
        return NoCompression() if steps < term.start else replace(term, start=0)
    if not isinstance(term, Dgc):
        return term
    ends = [term.warmup * (s + 1) // STAGES for s in range(STAGES)]
    stage = sum(end <= steps for end in ends)
    density = 0.25 ** (stage + 1) if stage < STAGES else 0.0
    return replace(term, density=max(density, term.density), warmup=0)


def has_frozen(term: Any, count: int) -> bool:
    """Says whether 1-bit Adam has frozen the second moment after some exchanges."""
    return isinstance(term, OneBit) and count >= term.start


def betas_of(optimizer: Call) -> tuple[float | None, float | None]:
    """Returns b1 and b2 of an `adam` or `adamw`; None for another optimizer.

    Example:
        >>> betas_of(Call("adam", (("b1", 0.5),))), betas_of(Call("sgd"))
        ((0.5, 0.999), (None, None))
    """
    if optimizer.name not in ("adam", "adamw"):
        return None, None
    given: dict[str, Any] = {**OPTAX_BETAS, **dict(optimizer.arguments)}
    return float(given["b1"]), float(given["b2"])
