"""Twenty random kills of a platform under load: `python -m tests.soak.kills`, again alike with SOAK_SEED."""

import os
import random
import sys
import tempfile
from pathlib import Path

from tests.platform.kills import CHILDREN, campaign

KILLS = 20


def main() -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}", flush=True)
    victims = random.Random(seed).choices([*CHILDREN, "supervisor"], k=KILLS)
    with tempfile.TemporaryDirectory(prefix="trading-soak-") as folder:
        campaign(Path(folder) / "data", victims, report=lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
