"""fastdns: a cluster DNS server for Kubernetes that drops in where CoreDNS runs."""

__version__ = "0.1.0"
