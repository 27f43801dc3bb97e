"""Zones of RRsets in the zone store: of sources that have records of their own, as hosts and zone files are."""
