"""libnghttp2, as far as server and load generator need it: found when it is needed, so that nothing else needs it.

The declarations are those of nghttp2/nghttp2.h, which all versions of libnghttp2.so.14 have kept; names are its own
without their prefix. ``load`` fills the table of functions.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef enum:
    # nghttp2_error
    ERR_TEMPORAL_CALLBACK_FAILURE = -521
    ERR_CALLBACK_FAILURE = -902
    # nghttp2_frame_type
    DATA = 0
    HEADERS = 1
    SETTINGS = 4
    # nghttp2_flag
    FLAG_END_STREAM = 1
    FLAG_ACK = 1
    # nghttp2_headers_category
    HCAT_REQUEST = 0
    # nghttp2_settings_id
    SETTINGS_ENABLE_PUSH = 2
    SETTINGS_MAX_CONCURRENT_STREAMS = 3
    SETTINGS_INITIAL_WINDOW_SIZE = 4
    SETTINGS_MAX_HEADER_LIST_SIZE = 6
    SETTINGS_NO_RFC7540_PRIORITIES = 9
    # nghttp2_error_code
    NO_ERROR = 0
    ENHANCE_YOUR_CALM = 11
    # nghttp2_nv_flag
    NV_NO_COPY_NAME = 2
    NV_NO_COPY_VALUE = 4
    # nghttp2_data_flag
    DATA_FLAG_EOF = 1
    DATA_FLAG_NO_END_STREAM = 2

cdef struct FrameHead:
    size_t length
    int32_t stream_id
    uint8_t type
    uint8_t flags
    uint8_t reserved

cdef struct NameValue:
    uint8_t* name
    uint8_t* value
    size_t name_len
    size_t value_len
    uint8_t flags

cdef struct PrioritySpec:
    int32_t stream_id
    int32_t weight
    uint8_t exclusive

# Of nghttp2_frame, the member for HEADERS; all others begin with the same head.
cdef struct Frame:
    FrameHead head
    size_t pad_len
    PrioritySpec priority
    NameValue* fields
    size_t field_count
    int category

cdef struct SettingsEntry:
    int32_t id
    uint32_t value

# The source is a union of a descriptor and a pointer.
cdef union Source:
    int fd
    void* exchange

ctypedef ssize_t (*ReadData)(void* session, int32_t stream_id, uint8_t* out, size_t room, uint32_t* flags,
                             Source* source, void* user) noexcept

cdef struct DataProvider:
    Source source
    ReadData read

cdef struct Memory:
    void* user
    void* (*malloc)(size_t size, void* user) noexcept nogil
    void (*free)(void* block, void* user) noexcept nogil
    void* (*calloc)(size_t count, size_t size, void* user) noexcept nogil
    void* (*realloc)(void* block, size_t size, void* user) noexcept nogil

ctypedef int (*OnBeginFrame)(void* session, const FrameHead* head, void* user) noexcept
ctypedef int (*OnFrame)(void* session, const Frame* frame, void* user) noexcept
ctypedef int (*OnHeader)(void* session, const Frame* frame, const uint8_t* name, size_t name_len,
                         const uint8_t* value, size_t value_len, uint8_t flags, void* user) noexcept
ctypedef int (*OnData)(void* session, uint8_t flags, int32_t stream_id, const uint8_t* data, size_t size,
                       void* user) noexcept
ctypedef int (*OnClose)(void* session, int32_t stream_id, uint32_t code, void* user) noexcept

cdef struct Library:
    int (*callbacks_new)(void** callbacks) noexcept
    void (*set_on_begin_frame)(void* callbacks, OnBeginFrame call) noexcept
    void (*set_on_begin_headers)(void* callbacks, OnFrame call) noexcept
    void (*set_on_header)(void* callbacks, OnHeader call) noexcept
    void (*set_on_frame_recv)(void* callbacks, OnFrame call) noexcept
    void (*set_on_data)(void* callbacks, OnData call) noexcept
    void (*set_on_close)(void* callbacks, OnClose call) noexcept
    void (*set_on_frame_send)(void* callbacks, OnFrame call) noexcept
    int (*option_new)(void** option) noexcept
    void (*option_set_no_closed_streams)(void* option, int value) noexcept
    int (*session_server_new3)(void** session, const void* callbacks, void* user, const void* option,
                               Memory* memory) noexcept
    int (*session_client_new2)(void** session, const void* callbacks, void* user,
                               const void* option) noexcept nogil
    void (*session_del)(void* session) noexcept nogil
    ssize_t (*session_mem_recv)(void* session, const uint8_t* data, size_t size) noexcept nogil
    ssize_t (*session_mem_send)(void* session, const uint8_t** data) noexcept nogil
    int (*session_want_read)(void* session) noexcept nogil
    int (*session_want_write)(void* session) noexcept nogil
    int (*session_set_stream_user_data)(void* session, int32_t stream_id, void* data) noexcept
    void* (*session_get_stream_user_data)(void* session, int32_t stream_id) noexcept nogil
    int (*session_get_stream_remote_close)(void* session, int32_t stream_id) noexcept
    int32_t (*session_get_last_proc_stream_id)(void* session) noexcept
    int (*session_terminate_session)(void* session, uint32_t code) noexcept
    uint32_t (*session_get_remote_settings)(void* session, int id) noexcept nogil
    int32_t (*submit_request)(void* session, const PrioritySpec* priority, const NameValue* fields, size_t count,
                              const DataProvider* data, void* user) noexcept nogil
    int (*submit_settings)(void* session, uint8_t flags, const SettingsEntry* entries, size_t count) noexcept nogil
    int (*submit_response)(void* session, int32_t stream_id, const NameValue* fields, size_t count,
                           const DataProvider* data) noexcept
    int (*submit_trailer)(void* session, int32_t stream_id, const NameValue* fields, size_t count) noexcept
    int (*submit_rst_stream)(void* session, uint8_t flags, int32_t stream_id, uint32_t code) noexcept
    int (*submit_goaway)(void* session, uint8_t flags, int32_t last_stream_id, uint32_t code, const uint8_t* data,
                         size_t size) noexcept

cdef Library nghttp2
