"""``python -m fastdns``: the same as the command ``fastdns``."""

import sys

from fastdns.cli import main

if __name__ == "__main__":
    sys.exit(main())
