"""Listings: what a complete one lacks goes, now or as the guard says."""

from fastdns.plugins.kubernetes.records._cluster cimport ClusterRecords


cdef class Listings:
    cdef ClusterRecords records
    cdef dict listing           # resource -> what was seen since begin
    cdef dict held              # resource -> what its last listing had and later events brought; see guard
    cdef set unsynced
    cdef object guard

    cdef int begin(self, object resource) except -1
    cdef int saw(self, object resource, object what) except -1
    cdef int end(self, object resource) except -1
    cdef bint settle(self) except -1
    cdef int distrust(self) except -1

    cdef int compare(self, object resource, set seen) except -1
    cdef int follow(self, object resource) except -1
    cdef int mend_if_due(self) except -1
    cdef list missing(self, object resource, set seen)
    cdef tuple weigh(self, object resource, list gone, set seen)
    cdef int sweep(self, object resource, list gone, set seen) except -1
