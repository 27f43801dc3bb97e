"""The plugin auto: the zone files of a directory."""
