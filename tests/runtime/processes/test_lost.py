import sys

import pytest

from diamond.runtime.failures import EnvironmentProblem, PeersLost
from diamond.runtime.processes.lost import as_loss

JOIN = "diamond.runtime.processes.join"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Timeout waiting at barrier 'save': Task 1 heartbeat timeout", PeersLost),
        ("UNKNOWN: [Gloo] Connection closed by peer [127.0.0.1]:9\nmore", PeersLost),
        ("UNKNOWN: Gloo context initialization failed: refused", EnvironmentProblem),
    ],
)
def test_the_loss_of_another_process_is_no_bug(text, kind, monkeypatch):
    error = RuntimeError(text)
    monkeypatch.delitem(sys.modules, JOIN, raising=False)
    assert as_loss(error) is None
    monkeypatch.setitem(sys.modules, JOIN, sys)
    failure = as_loss(error)
    assert type(failure) is kind
    assert "\n" not in str(failure)


def test_other_errors_stay_what_they_are(monkeypatch):
    monkeypatch.setitem(sys.modules, JOIN, sys)
    assert as_loss(ValueError("the loss is not finite")) is None
