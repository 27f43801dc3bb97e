"""What of fastdns is useful alone. It is used by the names of the package fastdns: docs/reference/library.md."""
