"""Reading zone files, without a server."""
