"""Memory, time and the kernel without DNS: what serving threads are built of, and what knows nothing of a query.

``_atomics``   loads, stores and exchanges with their ordering
``_clock``     the monotonic clock
``_hash``      a keyed hash of bytes
``_mapping``   memory from the kernel, private or shared
``_random``    numbers that nobody can guess
``_ring``      records of bytes from one thread to one other
``_slabs``     blocks of a few sizes out of one bounded area
``_space``     where the store's blocks go
``_store``     keys and payloads in shared memory: one writer, many readers
``_syscalls``  calls for sockets, epoll and descriptors
``_wheel``     timers of 8 ms

Each bounds the memory that it takes. No module here imports one from outside this package but the errors.
"""
