"""Futures events with the database away for two minutes, Redis for one, a feed killed: `python -m tests.soak.tape`.

The suite's proof (tests/platform/test_event_faults.py) with outages of that length."""

import os
import subprocess
import sys

PROOF = ["-m", "pytest", "tests/platform/test_event_faults.py", "-s", "-q"]


def main(outages: str = "120,60") -> int:
    return subprocess.run([sys.executable, *PROOF], env=os.environ | {"EVENT_OUTAGES": outages}).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
