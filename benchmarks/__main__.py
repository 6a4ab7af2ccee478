"""Runs every benchmark and prints its ratios."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import platform

import jax

from benchmarks import codec_speed, step_time, wire_bytes


def main() -> None:
    """Prints hardware, versions and a line a measurement."""
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {jax.device_count()} devices, "
        f"Python {platform.python_version()}, jax {jax.__version__}"
    )
    _print_wire_bytes()
    _print_codec_speed()
    _print_step_time()


def _print_wire_bytes() -> None:
    print("bytes that a device sends a step, and how many times fewer than a dense")
    print("fp32 all-reduce; certified against the compiled HLO:")
    for row in wire_bytes.measure():
        print(
            f"  {row.consistency:52} {row.compression:24} {row.bytes:12,.0f} B "
            f"1/{row.ratio:.4g}",
            flush=True,
        )


def _print_codec_speed() -> None:
    print("bandwidth of a codec over that of a memory copy:")
    for row in codec_speed.measure():
        ratio = row.ratio
        print(
            f"  {row.compression:20} {row.share:.2f} "
            f"({1 / ratio.high:.2f} to {1 / ratio.low:.2f}), "
            f"{row.bandwidth / 1e9:.2f} GB/s against "
            f"{row.copy_bandwidth / 1e9:.2f} GB/s",
            flush=True,
        )


def _print_step_time() -> None:
    print("step time of a compiled scheme over the same step by hand:")
    for row in step_time.measure():
        ratio = row.ratio
        print(
            f"  {row.scheme:11} {row.way:10} {ratio.median:.3f} "
            f"({ratio.low:.3f} to {ratio.high:.3f}), "
            f"{ratio.ours / step_time.STEPS * 1e3:.2f} ms "
            f"against {ratio.theirs / step_time.STEPS * 1e3:.2f} ms a step",
            flush=True,
        )


if __name__ == "__main__":
    main()
