"""Loads a DNS server and measures it: the load generator, and the echo that is the limit of sockets."""
