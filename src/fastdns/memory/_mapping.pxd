"""Memory from the kernel. It is zeroed, and takes room only where it has been written to."""

cdef extern from "sys/mman.h" nogil:
    void* c_mmap "mmap"(void* addr, size_t length, int prot, int flags, int fd, long offset)
    int c_munmap "munmap"(void* addr, size_t length)
    enum:
        PROT_READ
        PROT_WRITE
        MAP_SHARED
        MAP_PRIVATE
        MAP_ANONYMOUS
        MAP_NORESERVE
        MADV_REMOVE
    int c_madvise "madvise"(void* addr, size_t length, int advice)
    void* MAP_FAILED

# Of this process; what it forks gets a copy. NULL where the kernel refuses.
cdef inline void* map_private(size_t size) noexcept nogil:
    cdef void* at = c_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    return NULL if at == MAP_FAILED else at

# Of this process and those that it forks. NULL where the kernel refuses.
cdef inline void* map_shared(size_t size) noexcept nogil:
    cdef void* at = c_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    return NULL if at == MAP_FAILED else at

# Of a file (a memfd, for one) that has size bytes, shared with all that map it. NULL where the kernel refuses.
cdef inline void* map_file(int fd, size_t size) noexcept nogil:
    cdef void* at = c_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0)
    return NULL if at == MAP_FAILED else at

# Give whole pages of shared memory back to the kernel; they are zeroed again. False where it does not take them.
cdef inline bint give_pages(void* at, size_t size) noexcept nogil:
    return c_madvise(at, size, MADV_REMOVE) == 0

cdef inline void unmap(void* at, size_t size) noexcept nogil:
    if at != NULL:
        c_munmap(at, size)
