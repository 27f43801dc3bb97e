"""Answers from zones of RRsets, without a server."""
