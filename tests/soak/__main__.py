"""The long proofs: `python -m tests.soak [seed] [name ...]`, all of them without names; each ends with its table.

They run one after another, each on a platform or servers of its own; the kills take theirs from the seed."""

import os
import random
import subprocess
import sys

FAULTS = ["-m", "pytest", "tests/collector/test_feed_faults.py", "-k", "all_faults", "-s"]
# Name: what it proves, and how it is started.
PROOFS = {
    "sockets": ("a thousand live clients for ten minutes", ["-m", "tests.soak.sockets"]),
    "faults": ("ten minutes of faults of the exchange's streams", FAULTS),
    "candles": ("ten minutes of candles whose streams and answers fail", ["-m", "tests.soak.candles"]),
    "outages": ("the database away for two minutes, Redis for one", ["-m", "tests.soak.outages"]),
    "tape": ("trades, mark prices, liquidations: the same, with a feed that is killed", ["-m", "tests.soak.tape"]),
    "kills": ("twenty kills", ["-m", "tests.soak.kills"]),
    "dex": ("ten thousand operations of a chain, a scanner and a model", ["-m", "tests.soak.dex"]),
}


def main() -> int:
    asked = sys.argv[1:]
    seed = asked.pop(0) if asked and asked[0].isdecimal() else str(random.SystemRandom().randrange(10**6))
    if unknown := set(asked) - set(PROOFS):
        print(f"no such proof: {', '.join(sorted(unknown))}; there are {', '.join(PROOFS)}", file=sys.stderr)
        return 2
    environ = os.environ | {"FEED_FAULT_SECONDS": "600", "SOAK_SEED": seed}
    ended = {}
    for name in asked or PROOFS:
        told, arguments = PROOFS[name]
        print(f"== {name}: {told} (seed {seed})", flush=True)
        ended[name] = subprocess.run([sys.executable, *arguments], env=environ).returncode
    print("== " + ", ".join(f"{name}: {'failed' if code else 'passed'}" for name, code in ended.items()))
    return int(any(ended.values()))


if __name__ == "__main__":
    sys.exit(main())
