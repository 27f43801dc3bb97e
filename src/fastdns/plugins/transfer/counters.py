"""What is counted of transfers in each zone, in the order of the enum Counter in _step.pyx."""

GIVEN = ("axfr", "ixfr", "current")
FAILED = (
    "changed", "gone", "record", "closed", "slow", "stopped",
    "not_allowed", "udp", "serial", "not_loaded", "too_many", "not_a_client",
)  # fmt: skip
NAMES = (*GIVEN, *FAILED)
