"""`python -m golem_server` is `golem-server`."""

import sys

from golem_server.cli import main

if __name__ == "__main__":
    sys.exit(main())
