"""Units of numbers: which there are, and what each is in the SI base."""

import math
from dataclasses import dataclass
from fractions import Fraction

from diamond.dsl.suggest import did_you_mean, listed
from diamond.dsl.vocabulary.fields import LARGEST, Unit

_SI = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4}


def _bytes() -> dict[str, Fraction]:
    decimal = {f"{p}B": Fraction(1000**power) for p, power in _SI.items()}
    return decimal | {f"{p}B": Fraction(1024**power) for p, power in _BINARY.items()}


def _bandwidths() -> dict[str, Fraction]:
    bits = {f"{p}bit/s": Fraction(1000**power) for p, power in _SI.items()}
    return bits | {f"{size}/s": 8 * factor for size, factor in _bytes().items()}


UNITS: dict[Unit, dict[str, Fraction]] = {
    "steps": {"steps": Fraction(1), "step": Fraction(1)},
    "ratio": {"%": Fraction(1, 100)},
    "seconds": {
        "ns": Fraction(1, 10**9),
        "us": Fraction(1, 10**6),
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "min": Fraction(60),
        "h": Fraction(3600),
    },
    "bits_per_second": _bandwidths(),
    "bytes": _bytes(),
}

# What a unit measures, what is written for it, and whether it may be left out.
MEASURES: dict[Unit, tuple[str, str, bool]] = {
    "steps": ("a number of steps", "`50` or `50 steps`", True),
    "ratio": ("a share", "`0.01` or `1 %`", True),
    "seconds": ("a time", "`30 ms` or `5 us`", False),
    "bits_per_second": ("a bandwidth", "`1 Gbit/s` or `400 Gbit/s`", False),
    "bytes": ("a size", "`4 GiB` or `512 MB`", False),
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a number's unit is refused; `message` is what follows the argument's name."""

    message: str
    expected: str | None = None
    help: str | None = None


def to_base(
    value: int | float, unit: str | None, wanted: Unit | None
) -> int | float | Misfit:
    """Converts a number to the base of the wanted unit, exactly rounded.

    Example:
        >>> to_base(30, "ms", "seconds"), to_base(1, "Gbit/s", "bits_per_second")
        (0.03, 1000000000)
        >>> to_base(30, "ms", "steps").message
        'takes a number of steps, not a time'
    """
    if unit is None:
        if wanted is None or MEASURES[wanted][2]:
            return value
        what, example, _ = MEASURES[wanted]
        return Misfit("needs a unit", f"{what}, such as {example}")
    factor = UNITS[wanted].get(unit) if wanted else None
    if factor is None:
        return _misfit(unit, wanted)
    if isinstance(value, float) and not math.isfinite(value):
        return value
    exact = _exact(value) * factor
    most = LARGEST if isinstance(value, int) else 2**53
    whole = exact.denominator == 1 and abs(exact) <= most
    return int(exact) if whole else _rounded(exact)


def _exact(value: int | float) -> Fraction:
    """Takes a float for the decimal that was written, not for its binary value."""
    return Fraction(value) if isinstance(value, int) else Fraction(repr(value))


def _rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf


def _misfit(unit: str, wanted: Unit | None) -> Misfit:
    measured = next((u for u, names in UNITS.items() if unit in names), None)
    expected = "a number without a unit"
    if wanted is not None:
        expected = f"{MEASURES[wanted][0]}, such as {MEASURES[wanted][1]}"
    if measured is None:
        names = UNITS[wanted] if wanted else [n for u in UNITS.values() for n in u]
        meant = did_you_mean(our_name(unit), names)
        return Misfit(f"has a unit that does not exist, `{unit}`", expected, meant)
    got = MEASURES[measured][0]
    if wanted is None:
        return Misfit(f"takes a bare number, not {got}", expected)
    return Misfit(f"takes {MEASURES[wanted][0]}, not {got}", expected)


# Spellings of other tools with ours; where the case decides, it is that of the key.
OTHER_UNITS = {
    "Gb/s": "Gbit/s",
    "Mb/s": "Mbit/s",
    "bps": "bit/s",
    "kbps": "kbit/s",
    "mbps": "Mbit/s",
    "gbps": "Gbit/s",
    "tbps": "Tbit/s",
    "gb/s": "GB/s",
    "mb/s": "MB/s",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "usec": "us",
    "msec": "ms",
    "microseconds": "us",
    "milliseconds": "ms",
    "minutes": "min",
    "hours": "h",
    "percent": "%",
}


def our_name(unit: str) -> str:
    """Returns a unit by our name for it, where other tools have another.

    Example:
        >>> our_name("Gbps"), our_name("Gb/s"), our_name("GB/s"), our_name("ms")
        ('Gbit/s', 'Gbit/s', 'GB/s', 'ms')
    """
    return OTHER_UNITS.get(unit) or OTHER_UNITS.get(unit.lower(), unit)


def names_of(unit: Unit) -> str:
    """Lists the names of a unit, for messages and the reference page.

    Example:
        >>> names_of("steps")
        '`steps` or `step`'
    """
    return listed(UNITS[unit])


def written(value: int | float, unit: Unit) -> str:
    """Writes a time, a bandwidth or a size with the unit that makes it shortest.

    Example:
        >>> written(1e9, "bits_per_second"), written(5e-6, "seconds")
        ('1 Gbit/s', '5 us')
    """
    texts = []
    for name, factor in UNITS[unit].items():
        if unit == "bits_per_second" and "bit" not in name:
            continue
        count = _exact(value) / factor
        most = LARGEST if isinstance(value, int) else 10**15
        whole = count.denominator == 1 and count <= most
        number = int(count) if whole else _rounded(count)
        if to_base(number, name, unit) == value:
            texts.append(f"{number!r} {name}")
    return min(texts, key=len)
