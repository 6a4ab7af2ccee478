"""What the type hint of an argument admits."""

import types
import typing
from collections.abc import Iterator

from diamond.dsl.vocabulary.schedule import Scheduled

PLAIN = (int, float, bool, str)


def members_of(hint: object) -> tuple[type, ...]:
    """Returns the classes that a hint admits, schedules and generics left out.

    Example:
        >>> members_of(int | None)
        (<class 'int'>, <class 'NoneType'>)
    """
    return tuple(_flatten(hint))


def item_of(hint: object) -> type | None:
    """Returns what each item of a list is, where a hint is that of a list.

    Example:
        >>> item_of(tuple[str, ...]), item_of(str)
        (<class 'str'>, None)
    """
    if typing.get_origin(hint) is not tuple:
        return None
    item: type = typing.get_args(hint)[0]
    return item


def _flatten(hint: object) -> Iterator[type]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        for part in typing.get_args(hint):
            yield from _flatten(part)
    elif isinstance(hint, type) and typing.get_origin(hint) is None:
        yield hint


def fits(value: object, hint: object) -> bool:
    """Says whether a value is one that the hint admits; an int passes for a float.

    Example:
        >>> fits(1, float), fits(True, int), fits(None, int | None)
        (True, False, True)
        >>> fits(("a", "b"), tuple[str, ...]), fits(("a", 1), tuple[str, ...])
        (True, False)
    """
    item = item_of(hint)
    if item is not None:
        return isinstance(value, tuple) and all(fits(each, item) for each in value)
    if isinstance(value, Scheduled):
        return all(fits(item, hint) for item, _ in value.phases)
    members = members_of(hint)
    if isinstance(value, bool):
        return bool in members
    if isinstance(value, int) and float in members:
        return True
    return isinstance(value, members)


def spelled(hint: object) -> str:
    """Returns a hint's classes as people write them.

    Example:
        >>> spelled(int | None)
        'int or None'
        >>> spelled(tuple[str, ...])
        'a tuple of str'
    """
    item = item_of(hint)
    if item is not None:
        return f"a tuple of {spelled(item)}"
    names = [m.__name__.replace("NoneType", "None") for m in members_of(hint)]
    return " or ".join(names)
