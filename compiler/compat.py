"""Names of jax that move between the versions we accept: 0.10.2 up to 0.12."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import AbstractMesh, AxisType, Mesh

LATENCY_HIDING: dict[str, Any] = {"xla_gpu_enable_latency_hiding_scheduler": True}


def make_mesh(
    sizes: tuple[int, ...], names: tuple[str, ...], devices: list[jax.Device]
) -> Mesh:
    """Returns a mesh whose axes are Auto, whatever jax's default is."""
    return jax.make_mesh(
        sizes, names, axis_types=(AxisType.Auto,) * len(names), devices=devices
    )


def abstract_mesh(axes: dict[str, int]) -> AbstractMesh:
    """Returns a mesh of axes without devices, to trace with."""
    kinds = (AxisType.Auto,) * len(axes)
    return AbstractMesh(tuple(axes.values()), tuple(axes), axis_types=kinds)


def scan_counts(params: Mapping[str, Any]) -> tuple[int, int]:
    """Returns how many constants a traced `scan` reads, and how much it carries.

    jax 0.12 has trees of both in place of the two numbers.
    """
    if "ft_in" not in params:
        return params["num_consts"], params["num_carry"]
    constants, carried, _ = (len(part) for part in params["ft_in"].unpack())
    return constants, carried


def compiler_options() -> dict[str, Any]:
    """Returns what XLA is told when a step is compiled.

    With jax 0.10.2 XLA's CPU backend drops the barriers that keep what is computed
    again apart from what was computed before, finds the two equal and keeps the first:
    gathers and activations would stay in memory (seen in compiled HLO; not with 0.12).
    On GPUs the scheduler is told to start collectives early and await them late, which
    it does not do by itself.
    """
    if jax.default_backend() == "cpu":
        return {"xla_disable_hlo_passes": "cse_barrier_expander"}
    if jax.default_backend() == "gpu":
        return LATENCY_HIDING
    return {}


def coordination_client() -> Any:
    """Returns what talks to the coordinator of several processes.

    Raises:
        RuntimeError: If there is one process.
    """
    from jax._src import distributed

    if distributed.global_state.client is None:
        raise RuntimeError("jax.distributed is not initialized")
    return distributed.global_state.client


def rank_and_number() -> tuple[int, int]:
    """Returns which process this is and how many there are, touching no device."""
    from jax._src import distributed

    state = distributed.global_state
    return state.process_id, state.num_processes


def bind_cpu_collectives(interface: str) -> None:
    """Makes the CPU backend's gloo talk over a network interface.

    Has to come between `jax.distributed.initialize` and the first use of a device.
    gloo takes the interface that the host's own name resolves to, or one by its name.
    JAX has no setting for the latter: the CPU client is made here as JAX makes it, but
    for the name.
    """
    from jax._src import xla_bridge
    from jax._src.lib import _jax  # type: ignore[attr-defined]
    from jax.extend import backend

    def client() -> Any:
        gloo = _jax.make_gloo_tcp_collectives(
            distributed_client=coordination_client(), interface=interface
        )
        return xla_bridge.make_cpu_client(collectives=gloo)

    backend.register_backend_factory("cpu", client, priority=0, fail_quietly=False)
