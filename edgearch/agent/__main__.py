"""Answer the request on stdin, or the one a bootstrap has already read from it."""

import json
import sys

from edgearch.agent.main import main

if __name__ == "__main__":
    sys.exit(main(globals().get("REQUEST") or json.loads(sys.stdin.readline())))
