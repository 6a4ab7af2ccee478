"""The optax optimizers that a scheme may name, with their arguments.

The tables are data, so that a scheme is checked without importing optax; a test holds
them against the installed optax. What optax has and a scheme cannot name is in
`LEFT_OUT`, and arguments that are no plain values in `NO_PLAIN_VALUES`.
"""

from diamond.dsl.vocabulary.schedules import SCHEDULES as SCHEDULES
from diamond.dsl.vocabulary.signatures import Parameter as Parameter
from diamond.dsl.vocabulary.signatures import Signature as Signature
from diamond.dsl.vocabulary.signatures import (
    contrib,
    flag,
    integer,
    lr,
    number,
    string,
    varies,
)

_LR = lr()
_LR_MAY_LACK = Parameter("learning_rate", "schedule", alias="lr")
_LR_FIXED = lr(kind="number")
_B1 = number("b1", 0.9)
_B2 = number("b2", 0.999)
_EPS = number("eps", 1e-8)
_EPS_ROOT = number("eps_root", 0.0)
_MU = string("mu_dtype")
_NESTEROV = flag("nesterov")
_ADAM = (_LR, _B1, _B2, _EPS)
_NO_DECAY = number("weight_decay", 0.0)
_NO_DECAY_YET = varies("weight_decay", 0.0)

OPTIMIZERS: tuple[Signature, ...] = (
    Signature(
        "adabelief",
        (_LR, _B1, _B2, number("eps", 1e-16), number("eps_root", 1e-16), _NESTEROV),
    ),
    Signature(
        "adadelta",
        (_LR_MAY_LACK, number("rho", 0.9), number("eps", 1e-6), _NO_DECAY_YET),
    ),
    Signature(
        "adafactor",
        (
            _LR_MAY_LACK,
            integer("min_dim_size_to_factor", 128),
            number("decay_rate", 0.8),
            integer("decay_offset", 0),
            flag("multiply_by_parameter_scale", True),
            number("clipping_threshold", 1.0),
            number("momentum"),
            string("dtype_momentum", "float32"),
            varies("weight_decay_rate"),
            number("eps", 1e-30),
            flag("factored", True),
        ),
    ),
    Signature(
        "adagrad",
        (_LR, number("initial_accumulator_value", 0.1), number("eps", 1e-7)),
    ),
    Signature("adam", (*_ADAM, _EPS_ROOT, _MU, _NESTEROV)),
    Signature("adamax", _ADAM),
    Signature("adamaxw", (*_ADAM, varies("weight_decay", 1e-4))),
    Signature(
        "adamw", (*_ADAM, _EPS_ROOT, _MU, varies("weight_decay", 1e-4), _NESTEROV)
    ),
    Signature(
        "adan",
        (
            _LR,
            number("b1", 0.98),
            number("b2", 0.92),
            number("b3", 0.99),
            _EPS,
            number("eps_root", 1e-8),
            _NO_DECAY_YET,
        ),
    ),
    Signature(
        "amsgrad",
        (
            *_ADAM,
            _EPS_ROOT,
            _MU,
            flag("bias_correction_mu", True),
            flag("bias_correction_nu", True),
        ),
    ),
    Signature("fromage", (_LR, number("min_norm", 1e-6))),
    Signature("lamb", (_LR, _B1, _B2, number("eps", 1e-6), _EPS_ROOT, _NO_DECAY_YET)),
    Signature(
        "lars",
        (
            _LR,
            _NO_DECAY_YET,
            flag("weight_decay_mask", True),
            number("trust_coefficient", 0.001),
            number("eps", 0.0),
            flag("trust_ratio_mask", True),
            number("momentum", 0.9),
            _NESTEROV,
        ),
    ),
    Signature(
        "lion", (_LR, _B1, number("b2", 0.99), _MU, varies("weight_decay", 0.001))
    ),
    Signature("nadam", (*_ADAM, _EPS_ROOT, _MU, flag("nesterov", True))),
    Signature(
        "nadamw",
        (
            *_ADAM,
            _EPS_ROOT,
            _MU,
            varies("weight_decay", 1e-4),
            flag("nesterov", True),
        ),
    ),
    Signature(
        "noisy_sgd",
        (_LR, number("eta", 0.01), number("gamma", 0.55), integer("key")),
    ),
    Signature(
        "novograd",
        (
            _LR,
            _B1,
            number("b2", 0.25),
            number("eps", 1e-6),
            _EPS_ROOT,
            _NO_DECAY,
        ),
    ),
    Signature(
        "optimistic_adam",
        (
            _LR_FIXED,
            number("optimism"),
            _B1,
            _B2,
            _EPS,
            _EPS_ROOT,
            _MU,
            flag("nesterov", True),
        ),
    ),
    Signature(
        "optimistic_adam_v2",
        (
            _LR,
            number("alpha", 1.0),
            number("beta", 1.0),
            _B1,
            _B2,
            _EPS,
            _EPS_ROOT,
            _MU,
            flag("nesterov", True),
        ),
    ),
    Signature(
        "optimistic_gradient_descent",
        (_LR, number("alpha", 1.0), number("beta", 1.0)),
    ),
    Signature("radam", (*_ADAM, _EPS_ROOT, number("threshold", 5.0), _NESTEROV)),
    Signature(
        "rmsprop",
        (
            _LR,
            number("decay", 0.9),
            _EPS,
            number("initial_scale", 0.0),
            flag("eps_in_sqrt", True),
            flag("centered"),
            number("momentum"),
            _NESTEROV,
            flag("bias_correction"),
        ),
    ),
    Signature(
        "rprop",
        (
            _LR_FIXED,
            number("eta_minus", 0.5),
            number("eta_plus", 1.2),
            number("min_step_size", 1e-6),
            number("max_step_size", 50.0),
        ),
    ),
    Signature("sgd", (_LR, number("momentum"), _NESTEROV, string("accumulator_dtype"))),
    Signature("sign_sgd", (_LR,)),
    Signature("signum", (_LR, number("beta", 0.9), string("accumulator_dtype"))),
    Signature("sm3", (_LR_FIXED, number("momentum", 0.9))),
    Signature("yogi", (_LR, _B1, _B2, number("eps", 0.001))),
    contrib(
        "acprop",
        _LR,
        _B1,
        _B2,
        number("eps", 1e-16),
        number("eps_root", 1e-16),
        _NO_DECAY,
    ),
    contrib(
        "ademamix",
        _LR,
        _B1,
        _B2,
        varies("b3", 0.9999),
        varies("alpha", 5.0),
        _EPS,
        _EPS_ROOT,
        _MU,
        _NO_DECAY,
    ),
    contrib(
        "adopt",
        _LR,
        _B1,
        number("b2", 0.9999),
        number("eps", 1e-6),
        _MU,
        _NESTEROV,
        flag("use_clipping", True),
    ),
    contrib("cocob", lr(1.0), number("alpha", 100.0), _EPS, _NO_DECAY),
    contrib("dadapt_adamw", lr(1.0), _EPS, number("estim_lr0", 1e-6), _NO_DECAY),
    contrib("dog", lr(1.0), _EPS, number("weight_decay")),
    contrib(
        "dowg",
        lr(1.0),
        number("init_estim_sq_dist"),
        number("eps", 1e-4),
        number("weight_decay"),
    ),
    contrib(
        "galore",
        _LR,
        integer("rank", 128),
        integer("update_proj_gap", 200),
        number("scale", 1.0),
        _NO_DECAY,
    ),
    contrib("madgrad", _LR, number("momentum", 0.9), _NO_DECAY, number("eps", 1e-6)),
    contrib(
        "muon",
        _LR,
        integer("ns_steps", 5),
        number("beta", 0.95),
        _EPS,
        _NO_DECAY,
        _MU,
        flag("nesterov", True),
        flag("adaptive"),
        string("preconditioning", "frobenius"),
        number("adam_b1", 0.9),
        number("adam_b2", 0.999),
        number("adam_eps_root", 0.0),
        number("adam_weight_decay", 0.0),
        varies("adam_learning_rate"),
        number("consistent_rms"),
    ),
    contrib(
        "prodigy",
        lr(1.0),
        number("beta3"),
        _EPS,
        number("estim_lr0", 1e-6),
        number("estim_lr_coef", 1.0),
        _NO_DECAY,
        flag("safeguard_warmup"),
    ),
    contrib(
        "simplified_ademamix",
        _LR,
        number("b1", 0.99),
        number("b2", 0.95),
        varies("alpha", 0.0),
        _EPS,
        _EPS_ROOT,
        _NO_DECAY,
    ),
)

_NEEDS_LOSS = "its update needs the loss's value or function, not the gradient alone"
_WRAPS = "it wraps another optimizer"
_OTHER_PARAMETERS = "it is evaluated at other parameters than those it trains"
_PER_EXAMPLE = "it needs the gradient of each example"
_NO_OPTIMIZER = "it is a part of an optimizer, not one"

LEFT_OUT: dict[str, str] = {
    "lbfgs": _NEEDS_LOSS,
    "polyak_sgd": _NEEDS_LOSS,
    "momo": _NEEDS_LOSS,
    "momo_adam": _NEEDS_LOSS,
    "sophia": _NEEDS_LOSS,
    "reduce_on_plateau": _NEEDS_LOSS,
    "mechanize": _WRAPS,
    "sam": _WRAPS,
    "schedule_free": _WRAPS,
    "split_real_and_imaginary": _WRAPS,
    "schedule_free_adamw": _OTHER_PARAMETERS,
    "schedule_free_sgd": _OTHER_PARAMETERS,
    "dpsgd": _PER_EXAMPLE,
    "differentially_private_aggregate": _PER_EXAMPLE,
    "hutchinson_estimator_diag_hessian": _NO_OPTIMIZER,
    "normalize": _NO_OPTIMIZER,
    "schedule_free_eval_params": _NO_OPTIMIZER,
}

NO_PLAIN_VALUES: dict[str, str] = {
    "mask": "a tree or a function",
    "weight_decay_mask": "a tree or a function, but for `lars`",
    "weight_dimension_numbers": "a tree or a function",
    "muon_weight_dimension_numbers": "a tree or a function",
    "clip_value_fn": "a function",
    "base_optimizer": "an optimizer",
    "betas": "a pair of numbers",
    "ns_coeffs": "a tuple of numbers",
    "init_step": "a pair of a word and a number",
    "seed": "the old name of `key`",
}


def signature_of(name: str) -> Signature | None:
    """Returns the optimizer or the schedule of a name.

    Example:
        >>> signature_of("sgd").parameter("lr").name
        'learning_rate'
    """
    return next((one for one in (*OPTIMIZERS, *SCHEDULES) if one.name == name), None)
