"""Measures fastdns beside the limit of sockets and beside other servers; see README.md."""
