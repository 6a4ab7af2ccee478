"""Devices: as many as the mesh needs, or a refusal with the numbers.

On a CPU, XLA splits the host into virtual devices when it is told so before its
first use; GPUs are there or not.
"""

import os
import re
from typing import TYPE_CHECKING

from diamond.runtime.allocator import keep_memory
from diamond.runtime.failures import EnvironmentProblem

if TYPE_CHECKING:
    import jax

FLAG = "--xla_force_host_platform_device_count"


def prepare(
    num_devices: int,
    *,
    precision: str = "fp32",
    are_virtual: bool = False,
    processes: int = 1,
    twins: bool = False,
) -> "list[jax.Device]":
    """Returns `num_devices` devices, having made virtual ones on a CPU.

    Of several processes each has an equal part, and the devices stand in their order.

    Must come before anything else uses a device: XLA reads its flags once.

    Args:
        num_devices: Devices that the mesh needs.
        precision: `fp64` switches JAX's 64-bit types on.
        are_virtual: Whether they stand for devices that this machine need not have:
            virtual ones of its CPU then, even where there are GPUs.
        processes: Processes that train together, and have joined.
        twins: Whether as many again are wanted for a wire lane; GPUs need none.

    Raises:
        EnvironmentProblem: If there are fewer.

    Example:
        >>> len(prepare(1))
        1
    """
    share = num_devices // processes
    _ask_for_virtual(2 * share if twins else share, anew=are_virtual)
    keep_memory()
    import jax

    if are_virtual:
        jax.config.update("jax_platforms", "cpu")
    if precision == "fp64":
        jax.config.update("jax_enable_x64", True)
    try:
        found = jax.devices()
    except (RuntimeError, AssertionError) as error:
        raise EnvironmentProblem(_none_at_all(str(error))) from error
    share *= 2 if twins and found[0].platform == "cpu" else 1
    parts = [
        [each for each in found if each.process_index == i] for i in range(processes)
    ]
    fewest = min(map(len, parts))
    if fewest < share:
        platform = found[0].platform
        raise EnvironmentProblem(_too_few(share, fewest, platform, processes))
    return [each for part in parts for each in part[:share]]


def _ask_for_virtual(num_devices: int, *, anew: bool) -> None:
    """Adds the flag for the host's platform, which GPUs do not heed.

    A number that the user has set stays, unless it is asked for `anew`.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if anew:
        flags = re.sub(rf"{FLAG}=\d+", "", flags)
    if FLAG not in flags and num_devices > 1:
        os.environ["XLA_FLAGS"] = f"{flags} {FLAG}={num_devices}".strip()


def _none_at_all(reason: str) -> str:
    """JAX says why not, or nothing where JAX_PLATFORMS asks for what is not there."""
    asked = os.environ.get("JAX_PLATFORMS")
    where = f" (JAX_PLATFORMS={asked})" if asked else ""
    return f"JAX finds no device{where}{': ' if reason else ''}{reason}"


def _too_few(needed: int, found: int, platform: str, processes: int = 1) -> str:
    has = f"needs {needed} devices, this machine has {found} ({platform})"
    if processes > 1:
        has = f"needs {needed} devices in each process, one has {found} ({platform})"
    have = f"the mesh {has}"
    if platform != "cpu":
        return f"{have}; JAX_PLATFORMS=cpu trains on virtual CPU devices instead"
    asked = re.search(rf"{FLAG}=(\d+)", os.environ.get("XLA_FLAGS", ""))
    if asked and int(asked[1]) < needed:
        return f"{have}, as XLA_FLAGS asks for; set {FLAG}={needed} or leave it out"
    return f"{have}: JAX was in use before the devices were made"
