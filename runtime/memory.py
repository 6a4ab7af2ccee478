"""Running out of memory, told as what to do about it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from diamond.runtime.failures import Failure, RunFailed

if TYPE_CHECKING:
    from diamond.compiler.plan import Plan

ADVICE = "take a smaller batch, a smaller model or, for text, a shorter context"
# By their names, so that telling does not import jax.
_ERRORS = ("XlaRuntimeError", "JaxRuntimeError")
_SIGNS = ("RESOURCE_EXHAUSTED", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the host or a device has no memory left.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(KeyError("memory"))
        (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    known = any(each.__name__ in _ERRORS for each in type(error).__mro__)
    return known and any(sign.lower() in text for sign in _SIGNS)


@contextlib.contextmanager
def told_with(plan: "Callable[[], Plan]") -> Iterator[None]:
    """Turns running out of memory into a failure that tells what the plan bills.

    Args:
        plan: Returns the plan, once it is asked for.

    Raises:
        RunFailed: In place of an error that `is_out_of_memory`.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RunFailed(f"out of memory: {ADVICE}\n{_bill(plan())}") from error


def _bill(plan: "Plan") -> str:
    from diamond.compiler.explain import quantity

    rows = [f"  {held.what}: {quantity(held.bytes, 'B')}" for held in plan.memory]
    head = "what the plan bills a device, besides what a step computes on the way:"
    return "\n".join([head, *rows])
