"""Centralization: who talks to whom, and what the values of all become."""

from diamond.runtime.engines.reference.centralization.tables import mean as mean
from diamond.runtime.engines.reference.centralization.tables import start as start
