"""Memory and time without DNS: what the serving threads are built of, and what knows nothing of a query.

``_atomics``  loads, stores and exchanges with their ordering
``_mapping``  anonymous memory from the kernel, private or shared with forked processes
``_random``   numbers that nobody can guess, from the kernel's generator
``_ring``     records of bytes from one thread to one other
``_slabs``    blocks of a few sizes out of one bounded area
``_wheel``    timers of 8 ms

None takes the GIL, a lock or memory that is not bounded. No module here imports one from outside this package.
"""
