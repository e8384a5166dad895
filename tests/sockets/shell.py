"""A process of the platform on the sockets' database that does what it is told: one line of Python after the other."""

import sys

import django

django.setup()

from dex import broadcast, services  # noqa: E402
from tests.dex import factories  # noqa: E402

NAMES = {"broadcast": broadcast, "services": services, "f": factories}


def main() -> None:
    for line in sys.stdin:
        exec(line, NAMES)
        print("done", flush=True)


if __name__ == "__main__":
    main()
