"""Runs a command on every host of a network, and prints what its links carried.

    python -m benchmarks.network --hosts 4 --rate 10mbit -- COMMAND...
    python -m benchmarks.network clean

In the command, `{rank}`, `{hosts}`, `{address}` and `{first}` stand for a host's own
rank, how many there are, its address, and that of rank 0. `clean` takes down what is
left of networks whose process was killed.
"""

import argparse
import sys

from benchmarks.network import jobs, links, names


def main(words: list[str]) -> int:
    """Returns the exit code: 0 if all hosts' were, 1 if not, 2 without a network."""
    try:
        if words == ["clean"]:
            return clean()
        return run(_arguments(words))
    except links.NetworkError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def run(arguments: argparse.Namespace) -> int:
    """Runs the command and prints a line a host."""
    with links.opened(arguments.hosts, arguments.rate) as network:
        before = [host.traffic() for host in network.hosts]
        codes = jobs.run_on(network, arguments.command, grace=arguments.grace)
        after = [host.traffic() for host in network.hosts]
    print(f"{'host':>5} {'exit':>5} {'bytes sent':>16} {'bytes received':>16}")
    for rank, code in enumerate(codes):
        sent, received = after[rank] - before[rank]
        print(f"{rank:5} {code:5} {sent:16,} {received:16,}")
    return int(any(codes))


def clean() -> int:
    """Takes down what is left over and names it."""
    links.check_able()
    for name in names.left_over(links.spaces()):
        links.remove(name)
        print(f"removed {name}")
    return 0


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.network",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--hosts", type=int, default=2, help="how many (default 2)")
    parser.add_argument(
        "--rate", help="of each link, both ways, such as 10mbit (default: no limit)"
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=10,
        help="seconds that the others have once one has failed (default 10)",
    )
    parser.add_argument("command", nargs="+", help="what every host runs")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
