"""Legality: the rules between the clauses of a scheme, from text or from Python."""

from diamond.dsl.legality.finding import Finding as Finding
from diamond.dsl.legality.finding import Refusal as Refusal
from diamond.dsl.legality.rules import findings as findings
from diamond.dsl.legality.rules import legality as legality
from diamond.dsl.legality.tensors import of_tensors as of_tensors
