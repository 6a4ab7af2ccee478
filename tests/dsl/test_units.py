"""Units: exact conversion, and the shortest way to write a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond.dsl.units import UNITS, Misfit, to_base, written
from diamond.dsl.vocabulary.fields import Unit

MEASURED: list[Unit] = ["seconds", "bits_per_second", "bytes"]


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "base"),
    [
        (50, None, "steps", 50),
        (50, "steps", "steps", 50),
        (1, "%", "ratio", 0.01),
        (0.25, None, "ratio", 0.25),
        (30, "ms", "seconds", 0.03),
        (0.3, "ms", "seconds", 0.0003),
        (5, "us", "seconds", 5e-6),
        (2, "min", "seconds", 120),
        (1, "Gbit/s", "bits_per_second", 10**9),
        (2.5, "Gbit/s", "bits_per_second", 25 * 10**8),
        (1, "MB/s", "bits_per_second", 8 * 10**6),
        (4, "GiB", "bytes", 4 * 2**30),
        (7, None, None, 7),
    ],
)
def test_conversion(value: float, unit: str, wanted: Unit, base: float) -> None:
    assert to_base(value, unit, wanted) == base


@pytest.mark.parametrize(
    ("unit", "wanted", "message", "help"),
    [
        ("ms", "steps", "takes a number of steps, not a time", None),
        (None, "seconds", "needs a unit", None),
        ("GiB", None, "takes a bare number, not a size", None),
        ("Gbps", "bits_per_second", "exist, `Gbps`", "did you mean `Gbit/s`?"),
        ("Mib", "bytes", "exist, `Mib`", "did you mean `MiB`?"),
        ("parsec", "seconds", "exist, `parsec`", None),
    ],
)
def test_misfits(unit: str, wanted: Unit, message: str, help: str | None) -> None:
    misfit = to_base(1, unit, wanted)
    assert isinstance(misfit, Misfit)
    assert misfit.message.endswith(message)
    assert misfit.help == help


@given(st.floats(0, 1e300) | st.integers(0, 2**63 - 1), st.sampled_from(MEASURED))
def test_written_values_read_back(value: float, unit: Unit) -> None:
    number, _, name = written(value, unit).partition(" ")
    count = float(number) if set(number) & set(".e") else int(number)
    assert to_base(count, name, unit) == value


@given(st.floats(allow_infinity=True), st.sampled_from(["Gbit/s", "ns", "GiB", None]))
def test_no_number_is_a_surprise(value: float, unit: str | None) -> None:
    for wanted in UNITS:
        assert isinstance(to_base(value, unit, wanted), int | float | Misfit)
