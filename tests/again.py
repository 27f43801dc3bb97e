"""Runs the tests that have failed once more, one after the other, and says which of them passed then.

A test that starts servers can fail because the machine had something else to do. Alone it has no such reason: what
fails twice is broken. A few such tests are unstable, and are to be mended; more of them are a fault.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LAST_FAILED = Path(__file__).parents[1] / ".pytest_cache" / "v" / "cache" / "lastfailed"
# So many tests may be run again.
MOST = 5


def main(last_failed: Path = LAST_FAILED) -> int:
    """The exit status: 0 if each test passes alone."""
    try:
        failed = sorted(json.loads(last_failed.read_text()))
    except FileNotFoundError:
        failed = []
    if not 0 < len(failed) <= MOST:
        # Without any, something else than a test has failed.
        print(f"{len(failed)} tests have failed; 1 to {MOST} would be run again")
        return 1
    status = subprocess.run([sys.executable, "-m", "pytest", "-q", *failed], check=False).returncode
    for name in failed:
        print(f"UNSTABLE, failed among others and {'passed' if status == 0 else 'was run again'} alone: {name}")
    return status


if __name__ == "__main__":
    sys.exit(main())
