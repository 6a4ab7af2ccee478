"""What every test shares: eight virtual devices, and golden files."""

import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Nothing is timed in a test; a failure prints what it takes to see it again.
settings.register_profile("diamond", deadline=None, print_blob=True)
settings.load_profile("diamond")

# Before anything imports jax.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
flags = ["--xla_force_host_platform_device_count=8"]
if platform.machine() == "x86_64":
    # Without fused multiply-adds two correct programs agree to the last bit, so that
    # they also agree on which side of a rounding boundary a value lies.
    flags.append("--xla_cpu_max_isa=AVX")
os.environ.setdefault("XLA_FLAGS", " ".join(flags))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of holding the results against them",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Holds a text against a golden file, or writes it with `--update-golden`."""

    def hold(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text

    return hold
