"""``fastdns top``: what a server does now, on a terminal or as JSON; from what it tells over HTTP.

``reading``   what a server tells: its metrics, and its tables of who asks most
``summary``   two readings, one after the other, made into rates, ratios and percentiles
``view``      a summary as lines of text
``screen``    one after the other on a terminal, until a key ends it
"""
