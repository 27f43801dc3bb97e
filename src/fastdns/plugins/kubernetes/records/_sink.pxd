"""The sink of a cluster, for what writes its records from elsewhere than objects: see snapshot/_restore.pyx."""

from fastdns.plugins.kubernetes.records._cluster cimport ClusterRecords
from fastdns.plugins.kubernetes.records._listing cimport Listings
from fastdns.plugins.kubernetes.records._slices cimport Packing


cdef class ClusterWriter:
    cdef readonly ClusterRecords records
    cdef Listings listings
    cdef object left_out
    cdef bint endpoint_pod_names
    cdef bint zonal
    cdef bint exposed
    cdef tuple described
    cdef object on_latency
    cdef object clock
    cdef double begun_at        # Unix seconds
    cdef Packing packing

    cdef object slice_id(self, object resource, object meta)
    cdef int say_ports(self, object resource, object meta) except -1
    cdef int say_slice(self, object resource, object meta) except -1
    cdef bytes exposed_of(self, obj)
    cdef list cluster_addresses(self, object resource, object meta, list addresses)
    cdef int upsert_service(self, obj) except -1
    cdef int upsert_import(self, obj) except -1
    cdef int upsert_slice(self, obj, int kind) except -1
    cdef int svc_type_of(self, bytes key) except -1
    cdef int observe_slice(self, bytes key, object meta, bint first) except -1
    cdef int observe_service(self, int svc_type, object meta) except -1
    cdef int observe(self, str kind, object seconds) except -1
    cdef int upsert_namespace(self, obj) except -1
    cdef int upsert_pod(self, obj) except -1
    cdef bytes description_of(self, meta)
