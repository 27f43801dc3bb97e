"""Questions that fastdns and CoreDNS are both asked: tables by plugin; test_alike.py compares the replies."""
