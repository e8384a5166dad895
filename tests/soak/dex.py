"""Ten thousand random operations on a small chain, with a model beside: `python -m tests.soak.dex [operations] [seed]`.

Orders are created, executed and cancelled, blocks mined, branches left up to ten changes deep, scanners restarted.
Whenever the scanner has caught up, what is stored has to be what the model says; at each chain's end it has to be what
the contract itself says. A chain has fifty operations, then a new one begins."""

import os
import random
import subprocess
import sys


def main(operations: int = 10_000, seed: int | None = None) -> int:
    given = int(os.environ.get("SOAK_SEED", random.SystemRandom().randrange(10**6)))
    chosen = given if seed is None else seed
    print(f"{'seed':>24}  {chosen}", flush=True)
    environ = os.environ | {"DEX_OPERATIONS": str(operations), "DEX_SEED": str(chosen), "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "pytest", "tests/dex/test_model.py", "-s", "-q", "--timeout=7200"]
    return int(subprocess.run(command, env=environ).returncode != 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
