"""How the names of a cluster are answered in one block, as steps read it."""

from fastdns.plugins.kubernetes.answers._request cimport Conf, Zone

# Zones by their lowercased wire names, to be freed. Raises MemoryError.
cdef Zone* zones_of(list names) except NULL


cdef class AnswerOptions:
    cdef Conf conf
    cdef list keep
