"""JSON that every reader takes: what is not a finite number is written as null."""

import json
import math
from typing import Any


def dumps(data: Any) -> str:
    """Returns data as one line of JSON.

    Example:
        >>> dumps({"loss": float("nan"), "step": 3})
        '{"loss": null, "step": 3}'
    """
    return json.dumps(_plain(data), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
