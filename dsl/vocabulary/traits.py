"""What the rules need to know about optax's optimizers; tests hold it against optax."""

_NORMS = "its step depends on norms of whole tensors"
_ALL = "its step depends on sums over all parameters"
_SHAPES = "its state depends on the shapes of tensors"

# Optimizers whose update of a value depends on other values too, and how.
NOT_ELEMENTWISE: dict[str, str] = {
    "adafactor": _SHAPES,
    "dadapt_adamw": _ALL,
    "dog": _ALL,
    "dowg": _ALL,
    "fromage": _NORMS,
    "galore": _SHAPES,
    "lamb": _NORMS,
    "lars": _NORMS,
    "muon": _SHAPES,
    "noisy_sgd": "its noise depends on how values are laid out",
    "novograd": _NORMS,
    "prodigy": _ALL,
    "sm3": _SHAPES,
}

# Optimizers that keep no running mean of gradients, and have no argument for one.
WITHOUT_MOMENTUM = frozenset(
    {
        "adadelta",
        "adagrad",
        "cocob",
        "dog",
        "dowg",
        "fromage",
        "noisy_sgd",
        "optimistic_gradient_descent",
        "rprop",
        "sign_sgd",
    }
)

# Logical names of dims that a tensor axis cuts, and of those that stay whole.
CUT_NAMES = ("heads", "kv_heads", "mlp", "vocab")
WHOLE_NAMES = ("embed", "none", "_")
