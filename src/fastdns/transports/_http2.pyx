"""One connection of HTTP/2, of the server's side: see _http2.pxd."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy
from libc.time cimport time, time_t

from fastdns.dns._numbers cimport MAX_MESSAGE_BYTES
from fastdns.memory._clock cimport monotonic_ns
from fastdns.transports._nghttp2 cimport (
    DATA, DATA_FLAG_EOF, DATA_FLAG_NO_END_STREAM, ENHANCE_YOUR_CALM, ERR_CALLBACK_FAILURE,
    ERR_TEMPORAL_CALLBACK_FAILURE, FLAG_END_STREAM, HCAT_REQUEST, HEADERS, NO_ERROR, SETTINGS_NO_RFC7540_PRIORITIES,
    SETTINGS_MAX_CONCURRENT_STREAMS, SETTINGS_MAX_HEADER_LIST_SIZE, DataProvider, Frame, FrameHead, Memory,
    NameValue, SettingsEntry, Source, nghttp2,
)
from fastdns.transports.doh import date_of

cdef extern from "malloc.h" nogil:
    size_t malloc_usable_size(void* block)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

cdef enum:
    OK = 200
    MOST_FIELD_BYTES = 65536        # above that the connection is ended
    FIELD_EXTRA_BYTES = 32          # RFC 9113 section 6.5.2
    MOST_CREDIT = 2048              # frames at once
    CREDIT_EACH = 16                # for a request that is answered
    CREDIT_S = 64
    NS_PER_CREDIT = 1000000000 // CREDIT_S
    PART_BYTES = 4096               # credit is looked at after so many bytes
    FIRST_BYTES = 512               # of a message's content

cdef void* callbacks = NULL
cdef void* options = NULL
cdef char date[DATE_BYTES]
cdef time_t dated = 0


# Memory of libnghttp2, counted

cdef void* counted_malloc(size_t size, void* user) noexcept nogil:
    cdef void* block = malloc(size)
    (<Py_ssize_t*>user)[0] += malloc_usable_size(block)
    return block


cdef void counted_free(void* block, void* user) noexcept nogil:
    (<Py_ssize_t*>user)[0] -= malloc_usable_size(block)
    free(block)


cdef void* counted_calloc(size_t count, size_t size, void* user) noexcept nogil:
    cdef void* block = calloc(count, size)
    (<Py_ssize_t*>user)[0] += malloc_usable_size(block)
    return block


cdef void* counted_realloc(void* block, size_t size, void* user) noexcept nogil:
    cdef size_t before = malloc_usable_size(block)
    cdef void* moved = realloc(block, size)
    if moved != NULL or size == 0:
        (<Py_ssize_t*>user)[0] += <Py_ssize_t>malloc_usable_size(moved) - <Py_ssize_t>before
    return moved


# What libnghttp2 calls

cdef int on_begin_frame(void* session, const FrameHead* head, void* user) noexcept:
    (<Http2>user).credit -= 1
    return 0


cdef int on_begin_headers(void* session, const Frame* frame, void* user) noexcept:
    cdef Http2 http = <Http2>user
    cdef Exchange* exchange
    if frame.category != HCAT_REQUEST:
        return 0
    exchange = <Exchange*>calloc(1, sizeof(Exchange))
    if exchange == NULL:
        return ERR_CALLBACK_FAILURE
    exchange.stream = frame.head.stream_id
    exchange.is_open = True
    exchange.before = exchange.after = exchange
    http.request_bytes += sizeof(Exchange)
    http.move(exchange, &http.open)
    nghttp2.session_set_stream_user_data(session, exchange.stream, exchange)
    return 0


cdef int on_header(void* session, const Frame* frame, const uint8_t* name, size_t name_len, const uint8_t* value,
                   size_t value_len, uint8_t flags, void* user) noexcept:
    cdef Http2 http = <Http2>user
    cdef Exchange* exchange = <Exchange*>nghttp2.session_get_stream_user_data(session, frame.head.stream_id)
    if exchange == NULL:
        return 0
    exchange.field_bytes += <uint32_t>(name_len + value_len) + FIELD_EXTRA_BYTES
    if exchange.field_bytes > MOST_FIELD_BYTES:
        http.credit = -1
        return ERR_TEMPORAL_CALLBACK_FAILURE
    if exchange.field_bytes > MAX_FIELD_BYTES:
        exchange.status = http.too_many_fields
    elif frame.category == HCAT_REQUEST:
        http.field(exchange, name, name_len, value, value_len)
    return 0


cdef int on_data(void* session, uint8_t flags, int32_t stream_id, const uint8_t* data, size_t size,
                 void* user) noexcept:
    cdef Http2 http = <Http2>user
    cdef Exchange* exchange = <Exchange*>nghttp2.session_get_stream_user_data(session, stream_id)
    if exchange == NULL or not exchange.is_open:
        # It is refused already.
        return 0
    if not http.keep(exchange, data, size, http.most_content_bytes):
        http.whole(exchange, http.too_much)
    return 0


cdef int on_frame_recv(void* session, const Frame* frame, void* user) noexcept:
    cdef Http2 http = <Http2>user
    cdef Exchange* exchange
    if frame.head.type != HEADERS and frame.head.type != DATA:
        return 0
    exchange = <Exchange*>nghttp2.session_get_stream_user_data(session, frame.head.stream_id)
    if exchange == NULL or not exchange.is_open:
        return 0
    if frame.head.type == HEADERS and frame.category == HCAT_REQUEST and exchange.status == 0:
        exchange.status = http.fields_over(exchange)
    if exchange.status:
        http.whole(exchange, exchange.status)
    elif frame.head.flags & FLAG_END_STREAM:
        http.whole(exchange, http.content_over(exchange))
    return 0


cdef int on_close(void* session, int32_t stream_id, uint32_t code, void* user) noexcept:
    cdef Exchange* exchange = <Exchange*>nghttp2.session_get_stream_user_data(session, stream_id)
    if exchange != NULL:
        (<Http2>user).close(exchange)
    return 0


cdef int on_frame_send(void* session, const Frame* frame, void* user) noexcept:
    """A response that is over before its request: the client need not send the rest (RFC 9113 section 8.1)."""
    if (frame.head.flags & FLAG_END_STREAM and (frame.head.type == HEADERS or frame.head.type == DATA)
            and not nghttp2.session_get_stream_remote_close(session, frame.head.stream_id)):
        return nghttp2.submit_rst_stream(session, 0, frame.head.stream_id, NO_ERROR)
    return 0


cdef ssize_t next_of_reply(void* session, int32_t stream_id, uint8_t* to, size_t room, uint32_t* flags,
                           Source* source, void* user) noexcept:
    cdef Exchange* exchange = <Exchange*>source.exchange
    cdef size_t size = exchange.message_len - exchange.sent
    if size > room:
        size = room
    else:
        flags[0] |= DATA_FLAG_EOF
        if (<Http2>user).trailer.name != NULL:
            flags[0] |= DATA_FLAG_NO_END_STREAM
            if nghttp2.submit_trailer(session, stream_id, &(<Http2>user).trailer, 1):
                return ERR_CALLBACK_FAILURE
    memcpy(to, exchange.message + exchange.sent, size)
    exchange.sent += <uint32_t>size
    (<Http2>user).unsent_bytes -= size
    return size


read_reply = next_of_reply


cdef int prepare() except -1:
    """Make what all connections share."""
    global callbacks, options
    if callbacks == NULL:
        if nghttp2.session_del == NULL:
            raise RuntimeError("_nghttp2.load comes before connections")
        if nghttp2.callbacks_new(&callbacks) or nghttp2.option_new(&options):
            raise MemoryError
        nghttp2.set_on_begin_frame(callbacks, on_begin_frame)
        nghttp2.set_on_begin_headers(callbacks, on_begin_headers)
        nghttp2.set_on_header(callbacks, on_header)
        nghttp2.set_on_frame_recv(callbacks, on_frame_recv)
        nghttp2.set_on_data(callbacks, on_data)
        nghttp2.set_on_close(callbacks, on_close)
        nghttp2.set_on_frame_send(callbacks, on_frame_send)
        nghttp2.option_set_no_closed_streams(options, 1)
    return 0


cdef const char* date_now() except NULL:
    """The field date: DATE_BYTES that stay as they are until the next call."""
    global dated
    cdef time_t now = time(NULL)
    cdef bytes text
    if now != dated:
        text = date_of(now)
        memcpy(date, PyBytes_AS_STRING(text), min(PyBytes_GET_SIZE(text), <Py_ssize_t>DATE_BYTES))
        dated = now
    return date


cdef class Http2:
    """max_streams: that the client may have open at a time. The library must be loaded (_nghttp2.load)."""

    def __cinit__(self, uint32_t max_streams):
        cdef Memory memory
        cdef SettingsEntry settings[3]
        self.open.before = self.open.after = &self.open
        self.ready.before = self.ready.after = &self.ready
        self.serving.before = self.serving.after = &self.serving
        self.credit = MOST_CREDIT
        self.counted_ns = monotonic_ns()
        prepare()
        memory.user = &self.session_bytes
        memory.malloc = counted_malloc
        memory.free = counted_free
        memory.calloc = counted_calloc
        memory.realloc = counted_realloc
        settings[0].id = SETTINGS_MAX_CONCURRENT_STREAMS
        settings[0].value = max_streams
        settings[1].id = SETTINGS_MAX_HEADER_LIST_SIZE
        settings[1].value = MAX_FIELD_BYTES
        settings[2].id = SETTINGS_NO_RFC7540_PRIORITIES
        settings[2].value = 1
        if (nghttp2.session_server_new3(&self.session, callbacks, <void*>self, options, &memory)
                or nghttp2.submit_settings(self.session, 0, settings, 3)):
            raise MemoryError

    def __dealloc__(self):
        self.close_all(&self.open)
        self.close_all(&self.ready)
        self.close_all(&self.serving)
        if self.session != NULL:
            nghttp2.session_del(self.session)

    # Requests

    cdef void feed(self, const uint8_t* data, Py_ssize_t size) noexcept:
        cdef ssize_t taken = 0
        cdef Py_ssize_t at = 0
        cdef uint64_t now = monotonic_ns()
        cdef uint64_t earned = (now - self.counted_ns) // NS_PER_CREDIT
        if earned:
            self.counted_ns += earned * NS_PER_CREDIT
            self.give_credit(<int64_t>earned if earned < MOST_CREDIT else MOST_CREDIT)
        if self.ending:
            return
        while at < size and taken >= 0 and self.credit >= 0:
            taken = nghttp2.session_mem_recv(self.session, data + at, min(size - at, <Py_ssize_t>PART_BYTES))
            at += taken
        if self.credit < 0:
            nghttp2.session_terminate_session(self.session, ENHANCE_YOUR_CALM)
        self.ending = taken < 0 or self.credit < 0

    cdef bint has_next(self) noexcept:
        return self.ready.after != &self.ready

    cdef Exchange* next(self) noexcept:
        cdef Exchange* exchange = self.ready.after
        if exchange == &self.ready:
            return NULL
        self.move(exchange, &self.serving)
        return exchange

    cdef Py_ssize_t unserved(self) noexcept:
        cdef Exchange* exchange = self.ready.after
        cdef Py_ssize_t count = 0
        while exchange != &self.ready:
            count += 1
            exchange = exchange.after
        return count

    cdef Exchange* served_on(self, int32_t stream) noexcept:
        return <Exchange*>nghttp2.session_get_stream_user_data(self.session, stream)

    # Responses

    cdef int answer(self, Exchange* exchange, uint16_t status, const uint8_t* reply, uint32_t size) except -1:
        if exchange.is_answered:
            raise ValueError("a request without a response expected")
        exchange.is_answered = True
        if status == OK:
            self.give_credit(CREDIT_EACH)
        exchange.message_len = 0
        self.content(exchange, status, reply, size)
        exchange.sent = exchange.message_len
        return self.respond(exchange, status)

    cdef Py_ssize_t output(self, uint8_t* out, Py_ssize_t room) noexcept:
        cdef const uint8_t* data
        cdef ssize_t size
        cdef Py_ssize_t filled = 0
        while room - filled >= LEAST_ROOM:
            size = nghttp2.session_mem_send(self.session, &data)
            if size <= 0:
                break
            if size > room - filled:
                self.ending = True
                break
            memcpy(out + filled, data, size)
            filled += size
        return filled

    cdef void goodbye(self) noexcept:
        cdef int32_t last = nghttp2.session_get_last_proc_stream_id(self.session)
        nghttp2.submit_goaway(self.session, 0, last, NO_ERROR, NULL, 0)

    cdef bint is_over(self) noexcept:
        return self.ending or not (
            nghttp2.session_want_read(self.session) or nghttp2.session_want_write(self.session)
        )

    # What a service makes of it

    cdef void field(self, Exchange* exchange, const uint8_t* name, size_t name_len, const uint8_t* value,
                    size_t value_len) noexcept:
        pass

    cdef uint16_t fields_over(self, Exchange* exchange) noexcept:
        return 0

    cdef uint16_t content_over(self, Exchange* exchange) noexcept:
        return 0

    cdef bint content(self, Exchange* exchange, uint16_t status, const uint8_t* reply, uint32_t size) except False:
        raise NotImplementedError

    cdef int respond(self, Exchange* exchange, uint16_t status) except -1:
        raise NotImplementedError

    # Exchanges

    cdef int submit(self, Exchange* exchange, const NameValue* fields, size_t count,
                    const DataProvider* content) except -1:
        if nghttp2.submit_response(self.session, exchange.stream, fields, count, content):
            raise MemoryError
        if content != NULL:
            self.unsent_bytes += exchange.sent
            exchange.sent = 0
        return 0

    cdef void give_credit(self, int64_t earned) noexcept:
        self.credit = min(self.credit + earned, <int64_t>MOST_CREDIT)

    cdef void move(self, Exchange* exchange, Exchange* head) noexcept:
        """To the end of a list."""
        exchange.before.after = exchange.after
        exchange.after.before = exchange.before
        exchange.before = head.before
        exchange.after = head
        head.before.after = exchange
        head.before = exchange

    cdef void whole(self, Exchange* exchange, uint16_t status) noexcept:
        """Nothing more of its request is needed."""
        exchange.status = status
        exchange.is_open = False
        self.move(exchange, &self.ready)

    cdef uint8_t* more_room(self, Exchange* exchange, uint32_t size) noexcept:
        """Where so many bytes may be added to what is kept of a request; NULL without memory."""
        cdef uint32_t needed = exchange.message_len + size
        cdef uint32_t room
        cdef uint8_t* moved
        if needed > exchange.message_room:
            room = max(needed, min(2 * exchange.message_room, <uint32_t>MAX_MESSAGE_BYTES), <uint32_t>FIRST_BYTES)
            moved = <uint8_t*>realloc(exchange.message, room)
            if moved == NULL:
                return NULL
            self.request_bytes += room - exchange.message_room
            exchange.message = moved
            exchange.message_room = room
        return exchange.message + exchange.message_len

    cdef bint keep(self, Exchange* exchange, const uint8_t* data, size_t size, uint32_t most) noexcept:
        """Add to what is kept of a request. False where that would be more than most, or memory is short."""
        cdef uint8_t* at
        if size > most - exchange.message_len:
            return False
        at = self.more_room(exchange, <uint32_t>size)
        if at == NULL:
            return False
        memcpy(at, data, size)
        exchange.message_len += <uint32_t>size
        return True

    cdef void close_all(self, Exchange* head) noexcept:
        while head.after != NULL and head.after != head:
            self.close(head.after)

    cdef void close(self, Exchange* exchange) noexcept:
        """Its stream is closed."""
        exchange.before.after = exchange.after
        exchange.after.before = exchange.before
        if exchange.is_answered:
            self.unsent_bytes -= exchange.message_len - exchange.sent
        self.request_bytes -= sizeof(Exchange) + exchange.message_room
        free(exchange.message)
        free(exchange)
