"""Where a model can be cut into fragments: at its layers."""

from diamond.dsl.vocabulary.scheme import Model
from diamond.dsl.vocabulary.training import ConvNet, Mlp


def layer_of(path: str) -> str:
    """Returns the layer of a tensor, by the tensor's path.

    It is the path up to the first component with a digit in it, or the first component
    where there is none.

    Example:
        >>> layer_of("blocks/0/mlp/w"), layer_of("head/w")
        ('blocks/0', 'head')
    """
    names = path.split("/")
    for depth, name in enumerate(names, start=1):
        if any(letter.isdigit() for letter in name):
            return "/".join(names[:depth])
    return names[0]


def layers_of(model: Model) -> tuple[str, int, str]:
    """Counts the layers of a built-in model, without making it.

    Returns:
        The argument that sets their number, the number, and which they are.

    Example:
        >>> layers_of(Mlp(layers=3))
        ('layers', 4, '3 hidden layers and the head')
    """
    if isinstance(model, Mlp):
        return "layers", model.layers + 1, f"{model.layers} hidden layers and the head"
    if isinstance(model, ConvNet):
        what = f"{model.stages} stages, the dense layer and the head"
        return "stages", model.stages + 2, what
    num, what = model.layers + 3, f"{model.layers} blocks, embedding, norm and head"
    if model.positions == "learned":
        num, what = num + 1, f"{model.layers} blocks, embedding, places, norm and head"
    return "layers", num, what
