"""The log of metrics: what it makes of broken lines and of a full disk."""

import json
import os
from pathlib import Path

import pytest

from diamond.runtime.failures import EnvironmentProblem, RunFailed
from diamond.runtime.metrics import MetricsLog

BROKEN = [
    '{"step": "x", "loss": 1.0}',
    '{"step": true, "loss": 1.0}',
    '{"step": null}',
    '{"step": 2, "loss": "low"}',
    '{"loss": 1.0}',
    "[1, 2]",
    "7",
    '{"step": 3, "lo',
    "[" * 100_000,
]


def test_broken_records_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    whole = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}]
    lines = [json.dumps(whole[0]), *BROKEN, json.dumps(whole[1])]
    path.write_text("\n".join(lines) + "\n")
    with MetricsLog(path, after=5):
        kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert kept == whole


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told_with_the_path(tmp_path: Path) -> None:
    message = r"metrics\.jsonl cannot be written: no space left"
    with (
        pytest.raises(RunFailed, match=message),
        MetricsLog(tmp_path / "metrics.jsonl", after=0) as log,
    ):
        os.dup2(os.open("/dev/full", os.O_WRONLY), log._file.fileno())
        log.write({"step": 1})


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(EnvironmentProblem, match=r"metrics\.jsonl cannot be written"):
        MetricsLog(tmp_path / "metrics.jsonl", after=0)
