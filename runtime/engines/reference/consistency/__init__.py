"""Consistency: what the members of an axis do with each other, and when."""

from diamond.runtime.engines.reference.consistency.tables import Rule as Rule
from diamond.runtime.engines.reference.consistency.tables import are_moved as are_moved
from diamond.runtime.engines.reference.consistency.tables import rule_of as rule_of
from diamond.runtime.engines.reference.consistency.tables import start as start
