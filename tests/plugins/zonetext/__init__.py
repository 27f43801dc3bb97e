"""A plugin that answers from zones of its own in the store: it uses all that rrsets/ offers.

Its file has lines ``zone NAME``, each followed by the zone's records: ``OWNER TTL TYPE RDATA``. Names are absolute.
"""
