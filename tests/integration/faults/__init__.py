"""What breaks, broken on purpose, under a load of queries whose answers are known.

``make test`` runs each fault for a few seconds, ``make chaos`` for as long as the promise says (FASTDNS_CHAOS_S
seconds each). Where chance decides, FASTDNS_CHAOS_SEED does: it is printed, and the same seed repeats a run. Every
test prints one line: sent, lost, wrong, late, the longest silence and the time to heal.
"""
