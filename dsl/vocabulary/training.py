"""Model, data, loss, and the optimizer."""

from dataclasses import dataclass

from diamond.dsl.vocabulary.fields import Term, arg
from diamond.dsl.vocabulary.optimizers import signature_of


@dataclass(frozen=True, slots=True)
class Mlp(Term):
    """A multilayer perceptron: dense layers with an activation between them."""

    width: int = arg("units of a hidden layer", default=256, minimum=1)
    layers: int = arg("hidden layers", default=2, minimum=0)
    activation: str = arg(
        "nonlinearity", default="relu", choices=("relu", "gelu", "silu", "tanh")
    )


@dataclass(frozen=True, slots=True)
class ConvNet(Term):
    """A small convolutional network for images: convolutions, pooling, dense head."""

    channels: int = arg("channels of the first stage", default=32, minimum=1)
    stages: int = arg("stages; each halves the image", default=2, minimum=1)
    width: int = arg("units of the dense layer", default=128, minimum=1)


@dataclass(frozen=True, slots=True)
class Transformer(Term):
    """A decoder-only transformer over tokens."""

    layers: int = arg("blocks", default=4, minimum=1)
    width: int = arg("residual width", default=256, minimum=1)
    heads: int = arg("attention heads", default=4, minimum=1)
    context: int = arg("tokens a sequence", default=128, minimum=1)
    expansion: float = arg(
        "hidden width of the mlp over width", default=4.0, minimum=0.0
    )
    positions: str = arg(
        "how places are told apart", default="rope", choices=("rope", "learned")
    )
    norm: str = arg(
        "normalization", default="rmsnorm", choices=("rmsnorm", "layernorm")
    )
    mlp: str = arg("feed-forward block", default="swiglu", choices=("swiglu", "gelu"))
    kv_heads: int | None = arg(
        "heads of keys and values, each for equally many of `heads`; as many where not "
        "given",
        default=None,
        minimum=1,
    )


@dataclass(frozen=True, slots=True)
class Digits(Term):
    """The 1,797 handwritten digits of scikit-learn: 8 x 8 images in ten classes."""

    batch: int = arg("examples a step, over all members", default=256, minimum=1)
    held_out: float = arg(
        "share held out for evaluation",
        default=0.2,
        unit="ratio",
        minimum=0.0,
        maximum=0.9,
    )


@dataclass(frozen=True, slots=True)
class Text(Term):
    """Bytes of text files; the Python standard library's source where none is named."""

    batch: int = arg("sequences a step, over all members", default=32, minimum=1)
    files: str | None = arg("file pattern under the scheme's folder", default=None)
    held_out: float = arg(
        "share held out for evaluation",
        default=0.05,
        unit="ratio",
        minimum=0.0,
        maximum=0.9,
    )


@dataclass(frozen=True, slots=True)
class Arrays(Term):
    """Inputs and targets from .npz or .npy files under the scheme's folder."""

    file: str = arg("a .npz file, or the .npy file of the inputs")
    batch: int = arg("examples a step, over all members", default=256, minimum=1)
    inputs: str = arg("name of the inputs in the .npz file", default="x")
    targets: str = arg(
        "name of the targets in the .npz file, or a .npy file", default="y"
    )
    held_out: float = arg(
        "share held out for evaluation",
        default=0.1,
        unit="ratio",
        minimum=0.0,
        maximum=0.9,
    )


@dataclass(frozen=True, slots=True)
class CrossEntropy(Term):
    """Mean negative log-likelihood of integer targets, in nats."""


@dataclass(frozen=True, slots=True)
class MeanSquaredError(Term):
    """Mean squared difference between outputs and targets."""


@dataclass(frozen=True, slots=True)
class Call:
    """An optax optimizer or schedule by its name, with named arguments.

    Short names of arguments, such as `lr`, are turned into optax's own.

    Attributes:
        name: The name in optax, such as `adamw`, or one of Diamond's short forms.
        arguments: Pairs of a name and a value: a number, a truth value, a string
            or another `Call`.

    Raises:
        TypeError: If a value is of another type.

    Example:
        >>> Call("adam", (("lr", 1e-3),)).arguments
        (('learning_rate', 0.001),)
    """

    name: str
    arguments: tuple[tuple[str, "float | int | bool | str | Call"], ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.arguments:
            if not isinstance(value, (bool, int, float, str, Call)):
                raise TypeError(
                    f"`{name}` of `{self.name}` must be a number, a truth value, a "
                    f"string or a call, not {type(value).__name__}"
                )
        signature = signature_of(self.name)
        full = (
            {one.alias: one.name for one in signature.parameters} if signature else {}
        )
        named = tuple((full.get(name, name), value) for name, value in self.arguments)
        object.__setattr__(self, "arguments", named)
