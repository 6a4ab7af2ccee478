"""Names of jax that move between the versions we accept: 0.10.2 up to 0.12."""

import jax
from jax.sharding import AxisType, Mesh


def make_mesh(
    sizes: tuple[int, ...], names: tuple[str, ...], devices: list[jax.Device]
) -> Mesh:
    """Returns a mesh whose axes are Auto, whatever jax's default is."""
    return jax.make_mesh(
        sizes, names, axis_types=(AxisType.Auto,) * len(names), devices=devices
    )
