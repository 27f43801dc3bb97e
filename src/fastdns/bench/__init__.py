"""Loads a DNS server and measures it: the load generator, and the UDP echo that is the limit of sockets."""
