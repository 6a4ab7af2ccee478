"""The names that collectives carry from the plan into compiled programs."""

import re

SCOPE = "diamond:"
_NAME = re.compile(SCOPE + r"([\w.]+)")


def name_in(text: str) -> str | None:
    """Returns the innermost name in the metadata of an operation, if there is one.

    Example:
        >>> name_in("jit(body)/transpose(jvp(diamond:host.zero))/reduce_scatter")
        'host.zero'
    """
    found = _NAME.findall(text)
    return found[-1] if found else None
