"""Loading and checking stay light: nothing heavy is imported, no matter the way in."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from diamond.dsl.vocabulary import Axis, Replicas, Scheme
from diamond.dsl.load import load_text, verify_scheme
from diamond.dsl.emit import emit
scheme = Scheme("a", mesh=(Axis("host", 2),), replicas=(Replicas("host"),))
assert load_text(emit(scheme))[0] == scheme
verify_scheme(scheme)
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def modules() -> set[str]:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("name", ["jax", "flax", "optax", "orbax", "numpy", "sklearn"])
def test_not_imported(name: str, modules: set[str]) -> None:
    assert name not in modules


def test_the_program_ran(modules: set[str]) -> None:
    assert {"diamond", "lark"} <= modules
