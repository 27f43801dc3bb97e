"""``python -m fastdns.bench``: as ``fastdns bench``."""

import sys

from fastdns.bench.cli import main

sys.exit(main(sys.argv[1:]))
