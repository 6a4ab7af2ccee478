"""What is printed for schedulers is what they read."""

import subprocess
from pathlib import Path

import pytest

from diamond.runtime.cli.run import run
from diamond.runtime.supervisor.templates import TEMPLATES, Job, print_job

JOB = Job("Two_Sites", ("my runs/a.diamond", "--out", "runs/a", "--set", 'x="y"'), 4, 2)


@pytest.mark.parametrize("scheduler", ["slurm", "mpi"])
def test_the_shell_takes_it(scheduler):
    text = print_job(scheduler, JOB)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert "diamondc run 'my runs/a.diamond' --out runs/a" in text
    assert "JAX_LOCAL_DEVICE_IDS=0,1" in text


def test_slurm_has_a_task_a_host():
    text = print_job("slurm", JOB)
    assert "#SBATCH --nodes=4\n#SBATCH --ntasks-per-node=1\n" in text
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert all("=" in line or line.endswith("--requeue") for line in directives)


def test_kubernetes_has_a_pod_a_host():
    text = print_job("k8s", JOB)
    assert "completions: 4\n  parallelism: 4\n  completionMode: Indexed" in text
    assert '"--coordinator=two-sites-0.two-sites:29500"' in text
    assert '- "x=\\"y\\""' in text


@pytest.mark.parametrize("scheduler", TEMPLATES)
def test_every_option_of_a_template_is_one_of_run(scheduler):
    known = {name for each in run.params for name in each.opts}
    text = print_job(scheduler, Job("a", ("a.diamond",), 2, 1))
    for name in ("--coordinator", "--num-processes", "--process-id"):
        assert name in known
        assert scheduler != "k8s" or name in text


@pytest.mark.parametrize("scheduler", TEMPLATES)
def test_the_page_shows_what_is_printed(scheduler):
    page = Path("docs/many_machines.md").read_text(encoding="utf-8")
    job = Job("two_sites", ("two_sites.diamond", "--out", "runs/two_sites"), 2, 4)
    assert f"\n{print_job(scheduler, job)}```" in page
