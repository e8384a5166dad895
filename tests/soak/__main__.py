"""The long proofs: `python -m tests.soak [seed]`. Twenty random kills of a platform under load, ten minutes of faults
of the exchange's streams, servers that stay away, and a thousand live clients, each with its table."""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.platform.kills import CHILDREN, campaign


def main() -> int:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(10**6)
    victims = random.Random(seed).choices([*CHILDREN, "supervisor"], k=20)
    print("== a thousand live clients", flush=True)
    failed = subprocess.run([sys.executable, "-m", "tests.soak.sockets"]).returncode != 0
    print("== ten minutes of faults", flush=True)
    faults = [sys.executable, "-m", "pytest", "tests/collector/test_feed_faults.py", "-k", "all_faults", "-s"]
    environ = os.environ | {"FEED_FAULT_SECONDS": "600"}
    wrong = subprocess.run([*faults, "--timeout=1500"], env=environ).returncode != 0
    print("== the database away for two minutes, Redis for one", flush=True)
    lost = subprocess.run([sys.executable, "-m", "tests.soak.outages"]).returncode != 0
    print(f"== twenty kills, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="trading-soak-") as folder:
        campaign(Path(folder) / "data", victims, report=lambda line: print(line, flush=True))
    print(f"{4 - failed - wrong - lost} passed, {failed + wrong + lost} failed")
    return int(failed or wrong or lost)


if __name__ == "__main__":
    sys.exit(main())
