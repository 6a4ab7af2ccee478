"""What the rules need to know about terms: one table a question."""

from typing import Final

from diamond.dsl.vocabulary import centralization as who
from diamond.dsl.vocabulary import compression as form
from diamond.dsl.vocabulary import consistency as when
from diamond.dsl.vocabulary.tables import word_of

GRADIENT_RULES = (
    when.Synchronous,
    when.Pipelined,
    when.StaleSynchronous,
    when.Asynchronous,
    when.Hogwild,
)
# Rules whose copies may differ between steps.
LOOSE_RULES = (when.Local, when.Elastic, when.StaleSynchronous)
# Rules that keep versions of the parameters that are some steps old.
VERSIONED = (when.Asynchronous, when.Hogwild)

# Codecs that turn each block of values into a message of its own.
VECTOR = (form.Cast, form.Int8, form.Int4, form.Qsgd, form.Sign)
# Codecs whose messages add up: the sum of messages is the message of the sum.
ADDITIVE = (form.NoCompression, form.RandomK, form.PowerSgd, form.Gradiveq)
GOSSIPED = (form.NoCompression, form.Cast, form.Int8, form.Int4, form.Qsgd)
GRADIENTS_ONLY = (form.OneBit, form.Dgc)

Terms = tuple[type, ...]
# The rules that each way of joining contributions takes, and why no other.
RULES_OF_SERVER: Final[Terms] = (
    when.Synchronous,
    when.Pipelined,
    when.Asynchronous,
    when.Hogwild,
)
RULES_OF_GOSSIP: Final[Terms] = (when.Synchronous, when.Local)
RULES_OF_ADASUM: Final[Terms] = (when.Synchronous, when.Local)
RULES_OF_MAJORITY: Final[Terms] = (when.Synchronous,)


def exchanges_gradients(center: object, rule: object) -> bool:
    """Whether an axis exchanges gradients, and not parameters.

    Example:
        >>> exchanges_gradients(who.AllReduce(), when.Synchronous())
        True
        >>> exchanges_gradients(who.Gossip(), when.Synchronous())
        False
    """
    return isinstance(rule, GRADIENT_RULES) and not isinstance(center, who.Gossip)


def is_loose(center: object, rule: object) -> bool:
    """Whether the copies over an axis may differ between steps."""
    return isinstance(center, who.Gossip) or isinstance(rule, LOOSE_RULES)


def is_streaming(rule: object) -> bool:
    """Whether a rule exchanges the model in parts, or late, or merges what arrives."""
    if not isinstance(rule, when.Local):
        return False
    return rule.fragments > 1 or rule.delay > 0 or rule.merge > 0


def period_of(center: object, rule: object) -> int | None:
    """Returns the steps between two exchanges of parameters, where there are any."""
    if isinstance(rule, when.Local | when.Elastic):
        return rule.every
    return 1 if isinstance(center, who.Gossip) else None


def manner(center: object, rule: object) -> str:
    """Names what an axis does: its rule, but for `gossip`, which says more."""
    return word_of(center if isinstance(center, who.Gossip) else rule)


def is_power_of_two(number: int) -> bool:
    """Whether a number is 1, 2, 4, 8 and so on.

    Example:
        >>> [number for number in range(1, 9) if is_power_of_two(number)]
        [1, 2, 4, 8]
    """
    return number & (number - 1) == 0
