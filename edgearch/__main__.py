"""Run the command line with ``python -m edgearch``."""

import sys

from edgearch.cli import main

if __name__ == "__main__":
    sys.exit(main())
