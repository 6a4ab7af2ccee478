"""Which leaves of a model make up which fragment.

Leaves belong together where their paths agree up to the first key that has a digit in
it, or in the first key where none has: a layer stays whole. The groups are numbered in
the order of the leaves, and group number modulo P is the fragment.
"""

from diamond.runtime.engines.reference.state import Tree
from diamond.runtime.engines.reference.vectors import Places, layout_of


def fragments(tree: Tree, num: int) -> tuple[Places, ...]:
    """Returns the places of the leaves of each fragment; some may have none.

    Example:
        >>> layer = {"b": 0.0, "w": 0.0}
        >>> fragments({"head": layer, "layer1": layer, "layer2": layer}, 2)
        ((0, 1, 4, 5), (2, 3))
    """
    groups = [group_of(path) for path in layout_of(tree).paths]
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return tuple(
        tuple(k for k, group in enumerate(groups) if numbers[group] % num == part)
        for part in range(num)
    )


def group_of(path: str) -> tuple[str, ...]:
    """Returns the keys that leaves of the same layer share.

    Example:
        >>> group_of("blocks/0/mlp/w"), group_of("head/w")
        (('blocks', '0'), ('head',))
    """
    keys = path.split("/")
    for place, key in enumerate(keys):
        if any(letter.isdigit() for letter in key):
            return tuple(keys[: place + 1])
    return (keys[0],)
