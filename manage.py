#!/usr/bin/env python
"""Django's command line, with a malformed variable told in one line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")
    from django.core.management import execute_from_command_line

    from tradingplatform.env import ConfigurationError

    try:
        execute_from_command_line(sys.argv)
    except ConfigurationError as error:
        sys.exit(f"configuration: {error}")


if __name__ == "__main__":
    main()
