"""``fastdns bench cluster``: start, memory and how long a change takes, at the size of a large cluster."""
