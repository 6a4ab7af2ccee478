"""How schedulers start the processes of a run: text to begin with, to be edited."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

PORT = 29500


@dataclass(frozen=True, slots=True)
class Job:
    """What a scheduler has to start.

    Attributes:
        name: The scheme's name.
        arguments: What follows `diamondc run`, the file first.
        hosts: Processes, one a host.
        share: Devices a process.
    """

    name: str
    arguments: tuple[str, ...]
    hosts: int
    share: int

    @property
    def command(self) -> str:
        """The command line of one process, without how it finds the others."""
        return shlex.join(["diamondc", "run", *self.arguments])

    @property
    def local_devices(self) -> str:
        """The numbers of a process's accelerators on its host."""
        return ",".join(map(str, range(self.share)))


def print_job(scheduler: str, job: Job) -> str:
    """Returns a template for `slurm`, `mpi` or `k8s`.

    Example:
        >>> job = Job("tiny", ("tiny.diamond",), hosts=2, share=4)
        >>> print_job("slurm", job).splitlines()[0]
        '#!/bin/bash'
    """
    return TEMPLATES[scheduler](job)


def _slurm(job: Job) -> str:
    return f"""#!/bin/bash
#SBATCH --job-name={job.name}
#SBATCH --nodes={job.hosts}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={job.share}
#SBATCH --signal=TERM@120
#SBATCH --requeue
# On CPUs, leave --gpus-per-node out. The signal makes a run save and stop before its
# time is up; the same script goes on from there.
# The run folder must be on a file system that all nodes share.
export JAX_LOCAL_DEVICE_IDS={job.local_devices}
# JAX finds the processes by SLURM's variables. On CPUs, add --interface NAME where
# the nodes' names do not resolve to the network to use.
srun --kill-on-bad-exit=1 {job.command}
"""


def _mpi(job: Job) -> str:
    return f"""#!/bin/bash
# Run on the first host; hosts.txt has a line "NAME slots=1" for each host.
# The run folder must be on a file system that all hosts share.
export JAX_LOCAL_DEVICE_IDS={job.local_devices}
# Open MPI tells each process its number. Its version 5 no longer tells where the first
# one is, so that this is said here, for every version.
mpirun -n {job.hosts} --hostfile hosts.txt --map-by node -x JAX_LOCAL_DEVICE_IDS \\
  {job.command} \\
  --coordinator "$(hostname):{PORT}"
"""


def _k8s(job: Job) -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", job.name.lower()).strip("-") or "run"
    arguments = "\n".join(
        f"            - {_quoted(each)}" for each in ("run", *job.arguments)
    )
    return f"""# Needs an image with diamondc, and a volume claim `{name}` that all
# pods may write to (ReadWriteMany): the scheme, its data and the run folder are there.
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    job-name: {name}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  completions: {job.hosts}
  parallelism: {job.hosts}
  completionMode: Indexed
  backoffLimit: {3 * job.hosts}
  template:
    spec:
      subdomain: {name}
      restartPolicy: Never
      terminationGracePeriodSeconds: 120
      containers:
        - name: diamondc
          image: IMAGE
          workingDir: /runs
          command: ["diamondc"]
          args:
{arguments}
            - "--coordinator={name}-0.{name}:{PORT}"
            - "--num-processes={job.hosts}"
            - "--process-id=$(JOB_COMPLETION_INDEX)"
          resources:
            limits:
              # Leave it out on CPUs.
              nvidia.com/gpu: {job.share}
          volumeMounts:
            - name: shared
              mountPath: /runs
      volumes:
        - name: shared
          persistentVolumeClaim:
            claimName: {name}
"""


def _quoted(text: str) -> str:
    """Writes a string of YAML between double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


TEMPLATES: Mapping[str, Callable[[Job], str]] = {
    "slurm": _slurm,
    "mpi": _mpi,
    "k8s": _k8s,
}
