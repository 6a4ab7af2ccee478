"""Numbers: from the text of a literal to its value."""

import math

SUFFIXES = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
LONGEST = 400


def read_number(text: str) -> int | float:
    """Returns the value of a literal of the grammar's NUMBER.

    It is an int where the text has neither a point nor an exponent.

    Raises:
        ValueError: With the reason, if the value does not fit 64 bits.

    Example:
        >>> read_number("20_000"), read_number("10M"), read_number("3e-4")
        (20000, 10000000, 0.0003)
    """
    factor = SUFFIXES.get(text[-1], 1)
    digits = text.rstrip("kMGT").replace("_", "")
    if len(digits) > LONGEST:
        raise ValueError(f"more than {LONGEST} digits")
    if digits.lstrip("-").isdigit():
        return _checked_integer(int(digits) * factor)
    return _checked_float(float(digits) * factor, digits)


def _checked_integer(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError("does not fit a 64-bit integer")
    return value


def _checked_float(value: float, digits: str) -> float:
    if not math.isfinite(value):
        raise ValueError("too large for a 64-bit float")
    mantissa = digits.lower().split("e")[0]
    if value == 0 and mantissa.strip("-0."):
        raise ValueError("too small for a 64-bit float")
    return value
