"""How the names of a cluster are answered in one block: see _options.pxd."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.plugins.kubernetes.answers._request cimport Pods


cdef Zone* zones_of(list names) except NULL:
    cdef Zone* zones = <Zone*>calloc(len(names) + 1, sizeof(Zone))
    cdef uint32_t i
    if zones == NULL:
        raise MemoryError
    for i in range(len(names)):
        zones[i].name = <const uint8_t*><bytes>names[i]
        zones[i].name_len = len(names[i])
    return zones


cdef class AnswerOptions:
    """zones: (lowercased wire name, multicluster); primary: wire name of the zone of PTR targets; fall: wire names
    where name errors go on; namespaces: labels in wire form; local: addresses (4 or 16 bytes) of this host.
    """

    def __init__(self, *, int source, list zones, bytes primary not None, int ttl_s, str pods, list fall,
                 list namespaces, list local, bint ignore_empty_service, bint zonal):
        cdef uint32_t i
        zones = sorted(zones, key=lambda zone: -len(zone[0]))
        self.keep = [zones, primary, fall, namespaces, local]
        self.conf.source = source
        self.conf.ttl_s = ttl_s
        self.conf.pods = <Pods>("disabled", "insecure", "verified").index(pods)
        self.conf.ignore_empty_service = ignore_empty_service
        self.conf.zonal = zonal
        self.conf.primary = <const uint8_t*>primary
        self.conf.primary_len = len(primary)
        self.conf.zones = zones_of([name for name, _ in zones])
        self.conf.zone_count = len(zones)
        for i in range(len(zones)):
            self.conf.zones[i].multicluster = zones[i][1]
        self.conf.fall = zones_of(fall)
        self.conf.fall_count = len(fall)
        self.conf.namespaces = <const uint8_t**>calloc(len(namespaces) + 1, sizeof(uint8_t*))
        self.conf.local = <uint8_t*>calloc(len(local) + 1, 17)
        if not (self.conf.namespaces and self.conf.local):
            raise MemoryError
        for i in range(len(namespaces)):
            self.conf.namespaces[i] = <const uint8_t*><bytes>namespaces[i]
        self.conf.namespace_count = len(namespaces)
        for i in range(len(local)):
            self.conf.local[17 * i] = len(local[i])
            memcpy(self.conf.local + 17 * i + 1, <const uint8_t*><bytes>local[i], len(local[i]))
        self.conf.local_count = len(local)

    def __dealloc__(self):
        free(self.conf.zones)
        free(self.conf.fall)
        free(self.conf.namespaces)
        free(self.conf.local)
