"""What the tests of the oracle share: a switch for 64-bit numbers."""

import jax
import pytest


@pytest.fixture
def x64():
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
