"""Runs every benchmark and prints its ratios."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import platform

import jax

from benchmarks import step_time


def main() -> None:
    """Prints hardware, versions and a line a measurement."""
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {jax.device_count()} devices, "
        f"Python {platform.python_version()}, jax {jax.__version__}"
    )
    print("step time of a compiled scheme over the same step by hand:")
    for row in step_time.measure():
        ratio = row.ratio
        print(
            f"  {row.scheme:8} {row.way:10} {ratio.median:.3f} "
            f"({ratio.low:.3f} to {ratio.high:.3f}), "
            f"{ratio.ours / step_time.STEPS * 1e3:.2f} ms "
            f"against {ratio.theirs / step_time.STEPS * 1e3:.2f} ms a step",
            flush=True,
        )


if __name__ == "__main__":
    main()
