"""A plugin for fastdns that is not part of it."""
