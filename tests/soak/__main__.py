"""The long proofs: `python -m tests.soak [seed]`. Twenty random kills of a platform under load, with their table."""

import random
import sys
import tempfile
from pathlib import Path

from tests.platform.kills import CHILDREN, campaign


def main() -> int:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(10**6)
    victims = random.Random(seed).choices([*CHILDREN, "supervisor"], k=20)
    print(f"== twenty kills, seed {seed}")
    with tempfile.TemporaryDirectory(prefix="trading-soak-") as folder:
        campaign(Path(folder) / "data", victims, report=lambda line: print(line, flush=True))
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
