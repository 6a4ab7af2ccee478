"""Networks on one machine: true bytes, and nothing left of them afterwards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.network import jobs, links, names
from benchmarks.network.__main__ import main

ROOT = Path(__file__).parent.parent.parent
PAYLOAD = 1_000_000
FRAME, SEGMENT = 1514, 1448
SEND = f"""
import os, socket, time
if os.environ["RANK"] == "0":
    listener = socket.create_server((os.environ["HOST_ADDRESS"], 5000))
    connection, _ = listener.accept()
    left = {PAYLOAD}
    while left:
        left -= len(connection.recv(65536))
else:
    while True:
        try:
            connection = socket.create_connection(("host0", 5000))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    connection.sendall(bytes({PAYLOAD}))
"""


def _why_not() -> str:
    try:
        links.check_able()
    except links.NetworkError as error:
        return str(error)
    done = subprocess.run(["unshare", "--net", "true"], check=False)
    return "no namespaces can be made here" if done.returncode else ""


WHY_NOT = _why_not()
needs_network = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def _remains(network):
    spaces = [each for each in links.spaces() if each.startswith(network)]
    return spaces + [path.name for path in names.FOLDER.glob(f"{network}*")]


@needs_network
@pytest.mark.parametrize("rate", ["10mbit", None])
def test_the_counters_tell_what_the_wire_carried(rate):
    with links.opened(hosts=2, rate=rate) as network:
        assert jobs.run_on(network, [sys.executable, "-c", SEND]) == [0, 0]
        receiver, sender = (host.traffic() for host in network.hosts)
    wire = PAYLOAD * FRAME / SEGMENT
    assert wire <= sender.sent <= 1.05 * wire
    assert wire <= receiver.received <= 1.05 * wire
    assert sender.received < 0.1 * wire
    assert _remains(network.name) == []


@needs_network
def test_a_host_reads_of_its_own_link_what_is_read_from_outside():
    script = "from benchmarks.network.counters import sent; print(sent())"
    with links.opened(hosts=2) as network:
        host = network.hosts[1]
        jobs.run_on(network, [sys.executable, "-c", SEND])
        before = host.traffic()
        inside = host.inside(sys.executable, "-c", script)
        done = subprocess.run(inside, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        after = host.traffic()
    assert before.sent <= int(done.stdout) <= after.sent
    assert before.sent > PAYLOAD > before.received


@needs_network
def test_a_link_has_its_rate_at_both_ends():
    with links.opened(hosts=1, rate="10mbit") as network:
        ends = [(network.hosts[0].space, "eth0"), (f"{network.name}.switch", "port0")]
        shown = [_discipline(*end) for end in ends]
        assert all("tbf" in each and "rate 10Mbit" in each for each in shown)
        network.shape("2mbit")
        assert all("rate 2Mbit" in _discipline(*end) for end in ends)
        network.shape(None)
        assert all("rate 100Gbit" in _discipline(*end) for end in ends)


def _discipline(space, device):
    command = ["tc", "-n", space, "qdisc", "show", "dev", device, "root"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@needs_network
def test_hosts_have_names_and_see_each_other_alone():
    script = "hostname; getent hosts host1 | cut -d' ' -f1; ls /sys/class/net"
    with links.opened(hosts=2) as network:
        shown = [
            subprocess.run(host.inside("sh", "-c", script), stdout=subprocess.PIPE)
            for host in network.hosts
        ]
    words = [each.stdout.decode().split() for each in shown]
    assert words == [[name, "10.77.0.2", "eth0", "lo"] for name in ("host0", "host1")]


@needs_network
def test_an_exception_takes_all_down_and_processes_with_it():
    with pytest.raises(ZeroDivisionError), links.opened(hosts=2) as network:
        sleeper = subprocess.Popen(network.hosts[1].inside("sleep", "600"))
        _ = 1 / 0
    assert sleeper.wait(timeout=60) == -signal.SIGKILL
    assert _remains(network.name) == []


@needs_network
def test_where_one_fails_the_others_are_not_waited_for():
    script = "[ {rank} = 1 ] && kill -9 $$; exec sleep 600"
    with links.opened(hosts=2) as network:
        codes = jobs.run_on(network, ["sh", "-c", script], grace=0.1)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL]
    assert _remains(network.name) == []


def _sleeping() -> tuple[subprocess.Popen, str]:
    """Starts a network whose hosts sleep, and returns it with its name."""
    script = "ip netns identify $$; exec sleep 600"
    command = ["-m", "benchmarks.network", "--", "sh", "-c", script]
    parent = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    spaces = [parent.stdout.readline().strip() for _ in range(2)]
    return parent, spaces[0].partition(".")[0]


@needs_network
@pytest.mark.parametrize("to_all", [True, False], ids=["terminal", "parent"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str
)
def test_a_signal_takes_all_down(number, code, to_all):
    parent, network = _sleeping()
    assert len(_remains(network)) == 6
    (os.killpg if to_all else os.kill)(parent.pid, number)
    assert parent.wait(timeout=60) == code
    assert _remains(network) == []


@needs_network
def test_what_a_killed_parent_leaves_is_cleaned_and_what_lives_is_not():
    dead, left = _sleeping()
    alive, kept = _sleeping()
    dead.kill()
    dead.wait()
    assert left in names.left_over(links.spaces())
    command = [sys.executable, "-m", "benchmarks.network", "clean"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert f"removed {left}\n" in shown
    assert _remains(left) == []
    assert len(_remains(kept)) == 6
    alive.send_signal(signal.SIGINT)
    assert alive.wait(timeout=60) == 130
    assert _remains(kept) == []


def test_without_root_it_says_so_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(links, "TOOLS", ())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["--", "true"]) == 2
    said = capsys.readouterr().err
    assert said == "a network of namespaces needs root: run this with sudo\n"


def test_placeholders_are_filled_and_other_braces_stay():
    host = links.Host(1, "host1", "10.77.0.2", "space")
    network = links.Network("name", (host,))
    words = jobs.words_for(network, host, ["{rank}/{hosts}", "{address}", "{x}"])
    assert words == ["1/1", "10.77.0.2", "{x}"]
