"""Legality: the rules between the clauses of a scheme, from text or from Python."""

from diamond.dsl.legality.finding import Finding as Finding
from diamond.dsl.legality.rules import findings as findings
from diamond.dsl.legality.rules import legality as legality
