"""A process as a supervisor sees it, which does what the environment says.

STUB has a word for each rank: `well` takes three steps and ends; `waits` takes one and
goes on until it is ended; `asked` and a number is what it ends with when it is asked to
stop; a number is an exit code; the name of a signal is sent to
itself after a step, at the first start only. STARTS is a folder, where each start
leaves a file.
"""

import os
import signal
import sys
import time
from pathlib import Path

from diamond.runtime.processes.parent import end_with
from diamond.runtime.processes.pulse import Pulse


def main():
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    end_with(int(options["--parent"]))
    rank = int(options.get("--process-id", 0))
    word = os.environ["STUB"].split()[rank]
    starts = Path(os.environ["STARTS"])
    number = len(list(starts.glob(f"{rank}-*")))
    (starts / f"{rank}-{number}").write_text(str(os.getpid()))
    with Pulse(Path(options["--pulse"])).beating() as pulse:
        pulse.start(0, 3)
        pulse.advance(1)
        pulse.write()
        if word.isdigit():
            sys.exit(int(word))
        if word.startswith("SIG") and number == 0:
            os.kill(os.getpid(), getattr(signal, word))
        if word == "waits":
            time.sleep(600)
        if word.startswith("asked"):
            asked = word.removeprefix("asked")
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(asked)))
            (starts / f"ready-{rank}").touch()
            time.sleep(600)
        pulse.advance(3)


if __name__ == "__main__":
    main()
