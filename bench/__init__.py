"""Measures fastdns beside a UDP echo, the limit of sockets, and beside other servers; see README.md."""
