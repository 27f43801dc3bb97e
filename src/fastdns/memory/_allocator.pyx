"""How the C library's allocator of this process treats large blocks."""

cdef extern from *:
    """
    #include <malloc.h>
    static int fd_map_large(int bytes) {
    #if defined(__GLIBC__)
        return mallopt(M_MMAP_THRESHOLD, bytes);
    #else
        (void) bytes;
        return 1;
    #endif
    }
    """
    int fd_map_large(int bytes) noexcept nogil

LARGE_BYTES = 262144


def give_back_large():
    """Have blocks of LARGE_BYTES and more go back to the kernel when they are freed.

    glibc raises its own bound with the first large block that is freed, up to 32 MiB, and keeps what is below it.
    So a process that once reads a large file would be as large ever after. musl maps all such blocks.
    """
    fd_map_large(LARGE_BYTES)
