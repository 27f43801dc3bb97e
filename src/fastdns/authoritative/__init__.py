"""Authoritative answers from zones of RRsets in the zone store: native, for every plugin that has such zones."""
