"""Reads zones of RRsets as steps do, for tests: each call is a query of its own."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns._wire cimport Query, parse_question_name
from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._store cimport Store, enter_epoch, expect_reader, leave_epoch
from fastdns.rrsets._layout cimport Body, RRset, Walk, next_rdata, next_set, walk_rrs, walk_sets
from fastdns.rrsets._lookup cimport (
    ChangedRR, ChangeView, Lookup, Place, ZonesWalk, ZoneView, find_change, find_name, find_zone, last_name,
    look_up, next_changed, next_name, next_zone, open_zone, seek, walk_zones,
)
from fastdns.rrsets._order cimport Key, key_of_name, name_of_key

FOUND = ("found", "empty", "wildcard", "missing", "delegated", "renamed")


cdef dict rrsets_of(const Body* body):
    cdef RRset s
    cdef Walk sets
    cdef Walk rrs
    cdef const uint8_t* rdata
    cdef uint16_t size
    found = {}
    walk_sets(body, &sets)
    while next_set(&sets, &s):
        here = []
        walk_rrs(&s, &rrs)
        while True:
            rdata = next_rdata(&rrs, &size)
            if rdata == NULL:
                break
            here.append(rdata[:size])
        assert len(here) == s.count
        found[s.rrtype] = (s.ttl_s, here)
    return found


cdef int question(bytes name, Query* q) except -1:
    if not parse_question_name(name, len(name), q):
        raise ValueError(name)
    return 0


def zone_of(Store store, int source, bytes name):
    """The longest zone of a source that a name is in."""
    cdef Query q
    cdef ZoneView z
    question(name, &q)
    if not find_zone(store.header, source, &q, &z):
        return None
    return name[len(name) - z.name_len:]


def zones(Store store, int source):
    """The zones of a source, sorted."""
    cdef ZonesWalk walk
    cdef ZoneView z
    cdef const uint8_t* name
    found = []
    walk_zones(store.header, &walk)
    while next_zone(store.header, source, &walk, &z, &name):
        found.append(name[:z.name_len])
    return sorted(found)


def serial(Store store, int source, bytes zone):
    cdef ZoneView z
    if not open_zone(store.header, source, zone, len(zone), &z):
        return None
    return z.head.serial


def rrsets(Store store, int source, bytes zone, bytes name):
    """type -> (TTL, rdata) of a relative name, None where it has none."""
    cdef ZoneView z
    cdef Body body
    if not open_zone(store.header, source, zone, len(zone), &z) or not find_name(&z, name, len(name), &body):
        return None
    return rrsets_of(&body)


def lookup(Store store, int source, bytes name):
    """(zone, what was found, the name that it is about, its RRsets); None where no zone has the name."""
    cdef Query q
    cdef ZoneView z
    cdef Lookup found
    question(name, &q)
    if not find_zone(store.header, source, &q, &z):
        return None
    look_up(&z, &q, &found)
    here = rrsets_of(&found.body) if FOUND[found.found] not in ("empty", "missing") else {}
    return name[len(name) - z.name_len:], FOUND[found.found], name[found.at:], here


def names(Store store, int source, bytes zone, bytes start=b""):
    """The relative names of a zone in order, from one on."""
    cdef ZoneView z
    cdef Place place
    cdef Key key
    cdef uint8_t name[256]
    cdef int size
    found = []
    if not open_zone(store.header, source, zone, len(zone), &z):
        return None
    if not key_of_name(start, len(start), &key):
        raise ValueError(start)
    if seek(&z, key.bytes, key.size, &place):
        while next_name(&place):
            size = name_of_key(&place.chunk.key, name)
            assert size >= 0
            found.append(name[:size])
    return found


def around(Store store, int source, bytes zone, bytes name):
    """(the last name before, the first that is not before) a relative name."""
    cdef ZoneView z
    cdef Place place
    cdef Key key
    cdef uint8_t out[256]
    cdef int size
    before = after = None
    if not open_zone(store.header, source, zone, len(zone), &z):
        return None
    key_of_name(name, len(name), &key)
    if seek(&z, key.bytes, key.size, &place):
        if place.has_before:
            size = name_of_key(&place.before, out)
            assert size >= 0
            before = out[:size]
        if next_name(&place):
            size = name_of_key(&place.chunk.key, out)
            assert size >= 0
            after = out[:size]
    return before, after


def last(Store store, int source, bytes zone):
    cdef ZoneView z
    cdef Key key
    cdef uint8_t out[256]
    cdef int size
    if not open_zone(store.header, source, zone, len(zone), &z) or not last_name(&z, &key):
        return None
    size = name_of_key(&key, out)
    assert size >= 0
    return out[:size]


def changes(Store store, int source, bytes zone, uint32_t since):
    """(serial after, removed RRs, added RRs) of the change set that begins at a serial, or None."""
    cdef ZoneView z
    cdef ChangeView change
    cdef ChangedRR rr
    if not open_zone(store.header, source, zone, len(zone), &z) or not find_change(&z, since, &change):
        return None
    removed = []
    added = []
    while next_changed(&change, &rr):
        one = rr.name[:rr.name_len], rr.rrtype, rr.ttl_s, rr.rdata[:rr.rdata_len]
        (added if rr.added else removed).append(one)
    return change.to_serial, removed, added


def canonical(list relative):
    """Relative names in the order of their keys."""
    cdef Key key
    keyed = []
    for name in relative:
        assert key_of_name(name, len(name), &key)
        keyed.append((key.bytes[:key.size], name))
    return [name for _, name in sorted(keyed)]


cdef class View:
    """A zone that is kept in view as a reader's thread keeps it in one epoch. slot: of the reader."""
    cdef Store store
    cdef ZoneView z
    cdef uint32_t slot

    def __init__(self, Store store, int source, bytes zone, uint32_t slot):
        self.store = store
        self.slot = slot
        expect_reader(store.header, slot)
        enter_epoch(store.header, slot)
        if not open_zone(store.header, source, zone, len(zone), &self.z):
            raise KeyError(zone)

    def close(self):
        leave_epoch(self.store.header, self.slot)

    @property
    def serial(self):
        return self.z.head.serial

    def rrsets(self, bytes name):
        cdef Body body
        if not find_name(&self.z, name, len(name), &body):
            return None
        return rrsets_of(&body)

    def lookup(self, bytes name):
        cdef Query q
        cdef Lookup found
        question(name, &q)
        look_up(&self.z, &q, &found)
        return FOUND[found.found]

    def names(self):
        cdef Place place
        cdef uint8_t name[256]
        found = []
        if seek(&self.z, NULL, 0, &place):
            while next_name(&place):
                found.append(name[:name_of_key(&place.chunk.key, name)])
        return found


def lookup_ns(Store store, int source, bytes zone, list asked, int rounds):
    """Nanoseconds that opening the zone and looking up take, on average over these names."""
    cdef Query q
    cdef ZoneView z
    cdef Lookup found
    cdef uint64_t begins, took = 0
    cdef bytes name
    for _ in range(rounds):
        for name in asked:
            question(name, &q)
            begins = monotonic_ns()
            if open_zone(store.header, source, zone, len(zone), &z):
                look_up(&z, &q, &found)
            took += monotonic_ns() - begins
    return took / (rounds * len(asked))
