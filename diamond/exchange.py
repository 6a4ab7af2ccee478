"""Exchanges as optax transformations: the distributed half that optax lacks."""

from diamond.compiler.exchange.transformation import ExchangeState as ExchangeState
from diamond.compiler.exchange.transformation import local as local
from diamond.compiler.exchange.transformation import synchronous as synchronous
