"""Symbols: sums of weighted terms as people write them."""


def weighted(*terms: tuple[float, str]) -> str:
    """Writes a sum of terms with their weights; 1 is left out, and so is a term of 0.

    Example:
        >>> weighted((0.9, "u"), (0.1, "g")), weighted((1, "a"), (-0.5, "b"))
        ('0.9 u + 0.1 g', 'a - 0.5 b')
        >>> weighted((0.0, "u"), (1.0, "g")), weighted((0, "u"))
        ('g', '0')
    """
    text = ""
    for weight, term in terms:
        if weight == 0:
            continue
        sign = "-" if weight < 0 else "+"
        one = _times(abs(weight), term)
        if text:
            text += f" {sign} {one}"
        else:
            text = one if sign == "+" else f"-{one}"
    return text or "0"


def _times(weight: float, term: str) -> str:
    return term if f"{weight:g}" == "1" else f"{weight:g} {term}"


def is_sum(text: str) -> bool:
    """Whether a text has several terms, so that it needs brackets as a factor.

    Example:
        >>> is_sum("u + g"), is_sum("0.9 u")
        (True, False)
    """
    return " + " in text or " - " in text
