"""DNS over HTTPS from the client's side, with libnghttp2 (RFC 8484, RFC 9113).

Queries have the ID 0, as RFC 8484 section 4.1 wants it for caches, and are known by their streams. No more requests
are under way on a connection than its server allows streams, and one until it has said so. A response without
status 200, and a stream that the server resets, is counted, and its query is lost at once.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy

from fastdns.bench._asking cimport Asking, lose, match_at, most_bytes, prepare, under_way_now, write_message
from fastdns.bench._lanes cimport UNDER_WAY, Lane, next_place
from fastdns.bench._questions cimport Questions
from fastdns.transports._nghttp2 cimport (
    DATA_FLAG_EOF, FLAG_ACK, NV_NO_COPY_NAME, NV_NO_COPY_VALUE, SETTINGS, SETTINGS_ENABLE_PUSH,
    SETTINGS_INITIAL_WINDOW_SIZE, SETTINGS_MAX_CONCURRENT_STREAMS, DataProvider, Frame, NameValue, SettingsEntry,
    Source, nghttp2,
)

from fastdns.bench.errors import BenchError
from fastdns.errors import FastdnsError
from fastdns.transports._nghttp2 import load

cdef enum:
    OK = 200
    MAX_CONTENT_BYTES = 65535
    CONTENT_BYTES = 512             # the first room of a content
    MOST_FRAME_BYTES = 20000        # that libnghttp2 gives at a time: a frame of 16,384 bytes and its padding
    MOST_MESSAGE_BYTES = 65535 + 1024
    NO_STREAM = -1
    STATUS_BYTES = 7

cdef const uint8_t* ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


cdef class DohClient:
    """options: HttpOptions. Raises BenchError where this host has no libnghttp2."""

    def __cinit__(self, options not None, Questions questions not None):
        cdef Doh* d = &self.doh
        cdef bytes path
        try:
            load()
        except FastdnsError as error:
            raise BenchError(str(error)) from None
        if nghttp2.callbacks_new(&d.callbacks) != 0:
            raise MemoryError
        nghttp2.set_on_header(d.callbacks, on_header)
        nghttp2.set_on_data(d.callbacks, on_data)
        nghttp2.set_on_close(d.callbacks, on_close)
        nghttp2.set_on_frame_recv(d.callbacks, on_frame)
        self.kept = []
        d.posts = options.posts
        path = options.path.encode() + (b"" if d.posts else b"&dns=" if "?" in options.path else b"?dns=")
        self._field(":method", b"POST" if d.posts else b"GET")
        self._field(":scheme", options.scheme.encode())
        self._field(":authority", options.authority.encode())
        d.path_field = d.field_count
        self._field(":path", path)
        self._field("accept", b"application/dns-message")
        if d.posts:
            self._field("content-type", b"application/dns-message")
            d.size_field = d.field_count
            self._field("content-length", b"")
        # A message in base64 is a third longer.
        d.path_bytes = len(path)
        d.target = <uint8_t*>malloc(len(path) + MOST_MESSAGE_BYTES * 4 // 3 + 4)
        if d.target == NULL:
            raise MemoryError
        memcpy(d.target, <const char*>path, len(path))

    def __dealloc__(self):
        free(self.doh.target)

    cdef int _field(self, str name, bytes value) except -1:
        cdef NameValue* field = &self.doh.fields[self.doh.field_count]
        cdef bytes wire = name.encode()
        self.kept += [wire, value]
        field.name = <uint8_t*><char*>wire
        field.name_len = len(wire)
        field.value = <uint8_t*><char*>value
        field.value_len = len(value)
        field.flags = NV_NO_COPY_NAME | NV_NO_COPY_VALUE
        self.doh.field_count += 1
        return 0


# ------------------------------------------------------------------------------------------------- of a lane

cdef int begin_http(Doh* d, Asking* a, Lane* lane) noexcept nogil:
    """HTTP begins on a connection. Returns -1 without memory."""
    cdef DohLane* h = <DohLane*>lane.http
    cdef SettingsEntry settings[2]
    if h == NULL:
        h = <DohLane*>calloc(1, sizeof(DohLane))
        if h == NULL:
            return -1
        lane.http = h
        h.asking = a
        h.lane = lane
        h.contents = <Content*>calloc(lane.place_mask + 1, sizeof(Content))
    if h.contents == NULL or nghttp2.session_client_new2(&h.session, d.callbacks, h, NULL) != 0:
        return -1
    settings[0].id = SETTINGS_ENABLE_PUSH
    settings[0].value = 0
    settings[1].id = SETTINGS_INITIAL_WINDOW_SIZE
    settings[1].value = MAX_CONTENT_BYTES
    nghttp2.submit_settings(h.session, 0, settings, 2)
    return 0


cdef void end_http(Lane* lane) noexcept nogil:
    """A connection is closed."""
    cdef DohLane* h = <DohLane*>lane.http
    cdef uint32_t i
    if h == NULL:
        return
    if h.session != NULL:
        nghttp2.session_del(h.session)
    h.session = NULL
    h.draining = h.settled = False
    for i in range(lane.place_mask + 1):
        h.contents[i].stream = NO_STREAM


cdef void free_http(Lane* lane) noexcept nogil:
    """The lane itself ends."""
    cdef DohLane* h = <DohLane*>lane.http
    cdef uint32_t i
    end_http(lane)
    if h == NULL:
        return
    for i in range(lane.place_mask + 1):
        free(h.contents[i].data)
    free(h.contents)
    free(h)
    lane.http = NULL


cdef bint is_over(const Lane* lane) noexcept nogil:
    """Whether nothing more can happen on a connection."""
    cdef const DohLane* h = <const DohLane*>lane.http
    return not nghttp2.session_want_read(h.session) and not nghttp2.session_want_write(h.session)


# -------------------------------------------------------------------------------------------------- requests

cdef inline bint make_room(Content* content, uint32_t size) noexcept nogil:
    cdef uint32_t room = content.room if content.room else CONTENT_BYTES
    cdef uint8_t* data
    if size <= content.room:
        return True
    while room < size:
        room *= 2
    data = <uint8_t*>realloc(content.data, room)
    if data == NULL:
        return False
    content.data = data
    content.room = room
    return True


cdef uint32_t put_base64(const uint8_t* data, uint32_t size, uint8_t* out) noexcept nogil:
    """base64url without padding (RFC 4648 section 5). Returns the number of bytes."""
    cdef uint32_t at = 0, made = 0, group
    while at + 2 < size:
        group = <uint32_t>data[at] << 16 | <uint32_t>data[at + 1] << 8 | data[at + 2]
        out[made] = ALPHABET[group >> 18]
        out[made + 1] = ALPHABET[(group >> 12) & 63]
        out[made + 2] = ALPHABET[(group >> 6) & 63]
        out[made + 3] = ALPHABET[group & 63]
        at += 3
        made += 4
    if at < size:
        group = <uint32_t>data[at] << 16 | (<uint32_t>data[at + 1] << 8 if at + 1 < size else 0)
        out[made] = ALPHABET[group >> 18]
        out[made + 1] = ALPHABET[(group >> 12) & 63]
        made += 2
        if at + 1 < size:
            out[made] = ALPHABET[(group >> 6) & 63]
            made += 1
    return made


cdef uint32_t write_requests(Doh* d, Asking* a, Lane* lane, uint32_t n, uint64_t now) noexcept nogil:
    """Hand the next queries to libnghttp2, as far as the server allows streams. Returns their number."""
    cdef DohLane* h = <DohLane*>lane.http
    cdef uint32_t i, at, number, written = 0
    cdef uint32_t most = 1
    cdef Content* content
    cdef NameValue* path = &d.fields[d.path_field]
    cdef DataProvider provider
    cdef char size_text[12]
    cdef int32_t stream
    if h.draining:
        return 0
    if h.settled:
        most = nghttp2.session_get_remote_settings(h.session, SETTINGS_MAX_CONCURRENT_STREAMS)
    provider.read = read_content
    for i in range(n):
        if lane.under_way + written >= most:
            break
        number = prepare(a, lane, i)
        at = next_place(lane, i)
        content = &h.contents[at]
        if not make_room(content, most_bytes(a, a.table[number].size)):
            break
        content.size = write_message(a, &a.table[number], &lane.places[at], content.data)
        content.sent = content.status = 0
        if d.posts:
            provider.source.exchange = content
            d.fields[d.size_field].value = <uint8_t*>size_text
            d.fields[d.size_field].value_len = snprintf(size_text, sizeof(size_text), b"%u", content.size)
            # libnghttp2 copies this value: the next request has another one in its place.
            d.fields[d.size_field].flags = NV_NO_COPY_NAME
            stream = nghttp2.submit_request(h.session, NULL, d.fields, d.field_count, &provider, content)
        else:
            path.value = d.target
            path.value_len = d.path_bytes + put_base64(content.data, content.size, d.target + d.path_bytes)
            path.flags = NV_NO_COPY_NAME
            stream = nghttp2.submit_request(h.session, NULL, d.fields, d.field_count, NULL, content)
        if stream < 0:
            # The server is going away, or the numbers of streams are used up.
            h.draining = True
            break
        a.counts.query_bytes += content.size
        content.stream = stream
        if not d.posts:
            content.size = 0
        written += 1
    lane.asked += written
    under_way_now(a, lane, written, now)
    return written


cdef ssize_t read_content(void* session, int32_t stream_id, uint8_t* out, size_t room, uint32_t* flags,
                          Source* source, void* user) noexcept nogil:
    """The content of a request, for libnghttp2."""
    cdef Content* content = <Content*>source.exchange
    cdef uint32_t size = 0
    if content.stream == stream_id:
        size = content.size - content.sent
        if size > room:
            size = <uint32_t>room
        memcpy(out, content.data + content.sent, size)
        content.sent += size
    if content.stream != stream_id or content.sent == content.size:
        flags[0] |= DATA_FLAG_EOF
    return size


cdef uint32_t put_frames(Lane* lane, uint8_t* out, uint32_t size, uint32_t room) noexcept nogil:
    """Put the frames that are to be sent behind what is there, as far as there is room. Returns the new size."""
    cdef DohLane* h = <DohLane*>lane.http
    cdef const uint8_t* data
    cdef ssize_t made
    while size + MOST_FRAME_BYTES <= room:
        made = nghttp2.session_mem_send(h.session, &data)
        if made <= 0:
            break
        memcpy(out + size, data, made)
        size += <uint32_t>made
    return size


# ------------------------------------------------------------------------------------------------- responses

cdef uint32_t take_frames(Lane* lane, const uint8_t* data, uint32_t size, uint64_t now) noexcept nogil:
    """Read what has come on a connection. Returns the number of streams that have ended."""
    cdef DohLane* h = <DohLane*>lane.http
    h.now_ns = now
    h.came = 0
    if nghttp2.session_mem_recv(h.session, data, size) < 0:
        h.asking.counts.errors += 1
        h.draining = True
    return h.came


cdef inline Content* content_of(void* session, int32_t stream) noexcept nogil:
    """The content of a stream; NULL if its query has been given up."""
    cdef Content* content = <Content*>nghttp2.session_get_stream_user_data(session, stream)
    return content if content != NULL and content.stream == stream else NULL


cdef int on_frame(void* session, const Frame* frame, void* user) noexcept nogil:
    if frame.head.type == SETTINGS and not frame.head.flags & FLAG_ACK:
        (<DohLane*>user).settled = True
    return 0


cdef int on_header(void* session, const Frame* frame, const uint8_t* name, size_t name_len, const uint8_t* value,
                   size_t value_len, uint8_t flags, void* user) noexcept nogil:
    cdef Content* content
    cdef size_t i
    if name_len != STATUS_BYTES or memcmp(name, b":status", STATUS_BYTES) != 0:
        return 0
    content = content_of(session, frame.head.stream_id)
    if content != NULL:
        # An informational response may come before (RFC 9113 section 8.1).
        content.status = 0
        content.size = 0
        for i in range(value_len):
            content.status = content.status * 10 + value[i] - 48
    return 0


cdef int on_data(void* session, uint8_t flags, int32_t stream_id, const uint8_t* data, size_t size,
                 void* user) noexcept nogil:
    cdef Content* content = content_of(session, stream_id)
    if content == NULL:
        return 0
    if content.size + size > MAX_CONTENT_BYTES or not make_room(content, content.size + <uint32_t>size):
        content.status = 0
        return 0
    memcpy(content.data + content.size, data, size)
    content.size += <uint32_t>size
    return 0


cdef int on_close(void* session, int32_t stream_id, uint32_t code, void* user) noexcept nogil:
    cdef DohLane* h = <DohLane*>user
    cdef Content* content = content_of(session, stream_id)
    cdef uint16_t at
    h.came += 1
    if content == NULL:
        h.asking.counts.late += 1
        return 0
    at = <uint16_t>(content - h.contents)
    content.stream = NO_STREAM
    if h.lane.places[at].state != UNDER_WAY:
        # It has been given up, and no other query has its place yet.
        h.asking.counts.late += 1
    elif code == 0 and content.status == OK:
        match_at(h.asking, h.lane, at, content.data, content.size, content.size, h.now_ns)
    else:
        h.asking.counts.stream_errors += 1
        lose(h.asking, h.lane, at)
    return 0
