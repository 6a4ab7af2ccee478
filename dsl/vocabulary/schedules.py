"""The schedules that a scheme may name: optax's, and Diamond's short forms.

What optax has and a scheme cannot name is in `LEFT_OUT`.
"""

from diamond.dsl.vocabulary.signatures import Signature, flag, integer, needs, number

_INIT = needs("init_value")
_PEAK = needs("peak_value")
_WARMUP = needs("warmup_steps", "integer")
_TRANSITION = needs("transition_steps", "integer")
_BEGIN = integer("transition_begin", 0)
_SHAPE = (needs("peak"), needs("warmup", "integer"), number("end", 0.0))

SCHEDULES: tuple[Signature, ...] = (
    Signature("constant_schedule", (needs("value"),)),
    Signature(
        "cosine_decay_schedule",
        (
            _INIT,
            needs("decay_steps", "integer"),
            number("alpha", 0.0),
            number("exponent", 1.0),
        ),
    ),
    Signature(
        "cosine_onecycle_schedule",
        (
            _TRANSITION,
            _PEAK,
            number("pct_start", 0.3),
            number("div_factor", 25.0),
            number("final_div_factor", 1e4),
        ),
    ),
    Signature(
        "exponential_decay",
        (
            _INIT,
            _TRANSITION,
            needs("decay_rate"),
            _BEGIN,
            flag("staircase"),
            number("end_value"),
        ),
    ),
    Signature(
        "linear_onecycle_schedule",
        (
            _TRANSITION,
            _PEAK,
            number("pct_start", 0.3),
            number("pct_final", 0.85),
            number("div_factor", 25.0),
            number("final_div_factor", 1e4),
        ),
    ),
    Signature("linear_schedule", (_INIT, needs("end_value"), _TRANSITION, _BEGIN)),
    Signature(
        "polynomial_schedule",
        (_INIT, needs("end_value"), needs("power"), _TRANSITION, _BEGIN),
    ),
    Signature("warmup_constant_schedule", (_INIT, _PEAK, _WARMUP)),
    Signature(
        "warmup_cosine_decay_schedule",
        (
            _INIT,
            _PEAK,
            _WARMUP,
            needs("decay_steps", "integer"),
            number("end_value", 0.0),
            number("exponent", 1.0),
        ),
    ),
    Signature(
        "warmup_exponential_decay_schedule",
        (
            _INIT,
            _PEAK,
            _WARMUP,
            _TRANSITION,
            needs("decay_rate"),
            _BEGIN,
            flag("staircase"),
            number("end_value"),
        ),
    ),
    Signature(
        "warmup_cosine",
        _SHAPE,
        "diamond",
        "from 0 to `peak` in `warmup` steps, then along half a cosine to `end` at the "
        "end of the run",
    ),
    Signature(
        "warmup_linear",
        _SHAPE,
        "diamond",
        "from 0 to `peak` in `warmup` steps, then in a line to `end` at the end of the "
        "run",
    ),
    Signature(
        "cosine",
        (_SHAPE[0], _SHAPE[2]),
        "diamond",
        "from `peak` along half a cosine to `end` at the end of the run",
    ),
)

_SEQUENCE = "it takes a list or a table of values"

LEFT_OUT: dict[str, str] = {
    "join_schedules": _SEQUENCE,
    "piecewise_constant_schedule": _SEQUENCE,
    "piecewise_interpolate_schedule": _SEQUENCE,
    "sgdr_schedule": _SEQUENCE,
}
