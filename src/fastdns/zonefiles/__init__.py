"""Zone files (RFC 1035 section 5): read in child processes, followed, and published into the zone store."""
