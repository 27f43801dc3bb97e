"""libnghttp2, loaded when it is needed: see _nghttp2.pxd."""

from fastdns.errors import FastdnsError

cdef extern from "dlfcn.h" nogil:
    void* dlopen(const char* file, int flags)
    void* dlsym(void* handle, const char* name)
    enum:
        RTLD_NOW

NAME = "libnghttp2.so.14"
# In the order of the fields of Library.
FUNCTIONS = (
    "session_callbacks_new",
    "session_callbacks_set_on_begin_frame_callback",
    "session_callbacks_set_on_begin_headers_callback",
    "session_callbacks_set_on_header_callback",
    "session_callbacks_set_on_frame_recv_callback",
    "session_callbacks_set_on_data_chunk_recv_callback",
    "session_callbacks_set_on_stream_close_callback",
    "session_callbacks_set_on_frame_send_callback",
    "option_new",
    "option_set_no_closed_streams",
    "session_server_new3",
    "session_client_new2",
    "session_del",
    "session_mem_recv",
    "session_mem_send",
    "session_want_read",
    "session_want_write",
    "session_set_stream_user_data",
    "session_get_stream_user_data",
    "session_get_stream_remote_close",
    "session_get_last_proc_stream_id",
    "session_terminate_session",
    "session_get_remote_settings",
    "submit_request",
    "submit_settings",
    "submit_response",
    "submit_trailer",
    "submit_rst_stream",
    "submit_goaway",
)

cdef bint loaded = False


def load():
    """Have the library's functions. Raises FastdnsError where this host does not have it."""
    global loaded
    cdef void** table = <void**>&nghttp2
    cdef void* library
    if loaded:
        return
    assert len(FUNCTIONS) * sizeof(void*) == sizeof(Library)
    library = dlopen(NAME.encode(), RTLD_NOW)
    if library == NULL:
        raise FastdnsError(
            f"HTTP/2 needs the library {NAME}, which this host does not have: install the package libnghttp2-14 "
            "(Debian, Ubuntu), nghttp2-libs (Alpine) or libnghttp2 (Fedora)"
        )
    for number, name in enumerate(FUNCTIONS):
        table[<Py_ssize_t>number] = dlsym(library, b"nghttp2_" + name.encode())
        if table[<Py_ssize_t>number] == NULL:
            raise FastdnsError(f"{NAME} of this host is too old: it has no function nghttp2_{name}")
    loaded = True
