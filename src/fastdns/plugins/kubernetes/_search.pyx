"""The search path of a pod: NS.svc.ZONE, svc.ZONE, ZONE, then the search list of this host."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastdns.serve._context cimport Context
from fastdns.serve._search cimport MAX_SUFFIXES, NativeSearch, SearchPath, add_suffix
from fastdns._wire cimport MAX_NAME_BYTES, scratch
from fastdns.plugins.kubernetes.answers._options cimport AnswerOptions
from fastdns.plugins.kubernetes.answers._pods cimport namespace_at
from fastdns.plugins.kubernetes.answers._request cimport Conf, Zone, zone_of

cdef enum:
    SVC_BYTES = 4
    OWN_SUFFIXES = 4            # three of the cluster, and the root

cdef struct PodPath:
    const Conf* conf
    SearchPath host


cdef bint find(Context* ctx, const void* opaque, SearchPath* path) noexcept nogil:
    cdef const PodPath* pods = <const PodPath*>opaque
    cdef const Zone* zone = zone_of(pods.conf, ctx.q)
    cdef const uint8_t* namespace
    cdef uint8_t* name
    cdef uint32_t i, ns_len, size
    if zone == NULL:
        return False
    namespace = namespace_at(ctx, pods.conf, ctx.client, ctx.client_len)
    if namespace == NULL:
        return False
    ns_len = namespace[0] + 1
    size = ns_len + SVC_BYTES + zone.name_len
    name = scratch(ctx.reply, size)
    if name == NULL or size > MAX_NAME_BYTES:
        return False
    memcpy(name, namespace, ns_len)
    memcpy(name + ns_len, b"\x03svc", SVC_BYTES)
    memcpy(name + ns_len + SVC_BYTES, zone.name, zone.name_len)
    path.count = 0
    add_suffix(path, name, <uint16_t>size)
    add_suffix(path, name + ns_len, <uint16_t>(size - ns_len))
    add_suffix(path, zone.name, zone.name_len)
    for i in range(pods.host.count):
        add_suffix(path, pods.host.names[i], pods.host.lengths[i])
    return add_suffix(path, b"\0", 1)


cdef class PodSearch(NativeSearch):
    """Of clients that are pods, by their addresses. host: the search list of this host, as wire names."""
    cdef PodPath pods
    cdef AnswerOptions options
    cdef tuple host

    def __init__(self, AnswerOptions options not None, tuple host not None):
        if len(host) + OWN_SUFFIXES > MAX_SUFFIXES:
            raise ValueError("the search list is too long")
        self.options = options
        self.host = host
        self.pods.conf = &options.conf
        for name in host:
            add_suffix(&self.pods.host, <bytes>name, len(<bytes>name))
        self.search.find = find
        self.search.conf = &self.pods
