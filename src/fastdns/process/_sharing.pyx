"""Keeps memory shared between a process and the children that it forks.

A page of memory is one for parent and child until either writes to it. CPython writes to every object that it looks
at: it counts references there. And an allocation that is zeroed takes memory before anything is in it.

immortalize() is called before the fork: what a program consists of gets a reference count that is never written
again (PEP 683, Python 3.12). fill_holes() is called after it and before the fork: what a child allocates then lies
together, and not in the free places of pages that are shared. give_back_zeros() is called in the child, once it has
all that it needs.
"""

import builtins
import gc
import mmap
import types

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <fcntl.h>
    #include <stdint.h>
    #include <sys/mman.h>
    #include <unistd.h>
    #include <Python.h>

    #if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_GIL_DISABLED) && UINTPTR_MAX > UINT32_MAX
    #define FASTDNS_IMMORTAL 1
    static inline int is_immortal(PyObject *o) { return _Py_IsImmortal(o); }
    static inline void make_immortal(PyObject *o) { Py_SET_REFCNT(o, (Py_ssize_t)UINT32_MAX); }
    static int visit_code(PyObject *o, visitproc visit, void *kinds) {
        PyCodeObject *code = (PyCodeObject *)o;
        PyObject *parts[] = {code->co_consts, code->co_names, code->co_exceptiontable, code->co_localsplusnames,
                             code->co_localspluskinds, code->co_filename, code->co_name, code->co_qualname,
                             code->co_linetable};
        for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
            if (parts[i] != NULL && visit(parts[i], kinds))
                return -1;
        return 0;
    }
    #else
    #define FASTDNS_IMMORTAL 0
    static inline int is_immortal(PyObject *o) { return 1; }
    static inline void make_immortal(PyObject *o) { }
    static int visit_code(PyObject *o, visitproc visit, void *kinds) { return 0; }
    #endif

    /* A sanitizer poisons parts of the heap: whoever reads all of it is ended. */
    #ifdef __SANITIZE_ADDRESS__
    #define FASTDNS_POISONED 1
    #else
    #define FASTDNS_POISONED 0
    #endif

    /* Where the last free chunk of the heap begins, behind all blocks; 0: this allocator does not say. */
    #if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    #include <malloc.h>
    static inline uintptr_t heap_top(void) { return (uintptr_t)sbrk(0) - mallinfo2().keepcost; }
    static inline void join_free(void) { malloc_trim(0); }
    #else
    static inline uintptr_t heap_top(void) { return 0; }
    static inline void join_free(void) { }
    #endif

    /* An instance of a class of Python's own making: it ends by dropping what it refers to, and no more than that.
    */ static inline int is_plain(PyObject *o, PyObject *plain) { return Py_TYPE(o)->tp_dealloc ==
    Py_TYPE(plain)->tp_dealloc && Py_TYPE(o)->tp_finalize == NULL; }

    static int visit_parts(PyObject *o, visitproc visit, void *kinds) {
        traverseproc traverse = Py_TYPE(o)->tp_traverse;
        return traverse == NULL ? 0 : traverse(o, visit, kinds);
    }
    """
    ctypedef int (*visitproc)(PyObject* o, void* kinds) except -1
    const bint FASTDNS_IMMORTAL
    const bint FASTDNS_POISONED
    bint is_immortal(PyObject* o) noexcept
    void make_immortal(PyObject* o) noexcept
    bint is_plain(PyObject* o, PyObject* plain) noexcept
    int visit_code(PyObject* o, visitproc visit, void* kinds) except -1
    int visit_parts(PyObject* o, visitproc visit, void* kinds) except -1
    int PyObject_GC_IsTracked(object o)
    void* PyObject_Malloc(size_t size)
    void PyObject_Free(void* block)
    uintptr_t heap_top()
    void join_free()
    int open(const char* path, int flags) nogil
    int close(int fd) nogil
    ssize_t pread(int fd, void* to, size_t count, long long offset) nogil
    int madvise(void* address, size_t count, int advice) nogil
    enum:
        O_RDONLY
        O_CLOEXEC
        MADV_DONTNEED

cdef enum:
    ENTRY_BYTES = 8
    BATCH = 512
    # Larger ones are address space that is kept free, such as a sanitizer's.
    MAX_MAPPING_BYTES = 64 << 20

cdef enum:
    # What malloc is asked for: halved as long as it is large, then less by a step.
    MOST_BYTES = 65536
    SMALL_BYTES = 1024
    LEAST_BYTES = 24
    STEP_BYTES = 16
    # Python's own blocks: of each size in pools, behind the pool's header (Objects/obmalloc.c).
    MOST_OBJECT_BYTES = 512
    POOL_BYTES = 16384
    POOL_HEADER_BYTES = 48
    # Of one size, where an allocator has other pools than these.
    MAX_OBJECTS_BYTES = 131072

# pagemap(5): the page is in memory; nobody else has it.
cdef uint64_t PRESENT = <uint64_t>1 << 63
cdef uint64_t EXCLUSIVE = <uint64_t>1 << 56


class Plain:
    """A class like most."""


# Of the class that most instances are like.
PLAIN = Plain()

# What programs consist of, besides types and instances of classes that define no finalizer. Nothing that does
# something when it goes: no file, task, frame or generator.
KINDS = frozenset((
    str, bytes, int, float, complex, tuple, frozenset, dict, list, set, slice, property, classmethod, staticmethod,
    types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.ModuleType, types.CellType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.MethodWrapperType, types.ClassMethodDescriptorType, types.MappingProxyType, types.MethodType,
))  # fmt: skip
# Those that the garbage collector may not know: they are followed where they are met.
cdef type TUPLE = tuple
cdef type DICT = dict
cdef type CODE = types.CodeType


cdef int visit(PyObject* o, void* kinds) except -1:
    """Make o immortal where it is of a kind that may be, with what only it leads to."""
    if is_immortal(o):
        return 0
    kind = type(<object>o)
    if kind not in <frozenset>kinds and not isinstance(<object>o, type) and not is_plain(o, <PyObject*>PLAIN):
        return 0
    make_immortal(o)
    if kind is CODE:
        visit_code(o, visit, kinds)
    elif (kind is TUPLE or kind is DICT) and not PyObject_GC_IsTracked(<object>o):
        visit_parts(o, visit, kinds)
    return 0


def immortalize():
    """Nothing that modules, functions, types and constants of now consist of is counted, or freed, any more.

    Call it once, when everything is imported that children will use, before gc.freeze(). Does nothing in a Python
    that has no immortal objects.
    """
    cdef list objects
    if not FASTDNS_IMMORTAL:
        return
    kinds = KINDS | {type(immortalize)}
    objects = gc.get_objects()
    for each in objects:
        if each is objects or each is kinds:
            continue
        visit(<PyObject*>each, <void*>kinds)
        if is_immortal(<PyObject*>each):
            visit_parts(<PyObject*>each, visit, <void*>kinds)


# A block that fills a hole.
cdef struct Filler:
    Filler* next

# The first and the last one of a list, in the order in which they were taken.
cdef struct Fillers:
    Filler* first
    Filler* last

cdef Fillers of_heap
cdef Fillers of_pools


cdef void keep(Fillers* fillers, void* block) noexcept:
    cdef Filler* filler = <Filler*>block
    filler.next = NULL
    if fillers.first == NULL:
        fillers.first = filler
    else:
        fillers.last.next = filler
    fillers.last = filler


cdef Filler* taken_off(Fillers* fillers) noexcept:
    cdef Filler* filler = fillers.first
    if filler != NULL:
        fillers.first = filler.next
    return filler


cdef size_t fill_heap() noexcept:
    """Take all free chunks below the last one, and of each size one of that."""
    cdef uintptr_t top = heap_top()
    cdef size_t size = MOST_BYTES
    cdef size_t taken = 0
    cdef void* block
    while top and size >= LEAST_BYTES:
        block = malloc(size)
        if block != NULL:
            keep(&of_heap, block)
            taken += size
        if block == NULL or <uintptr_t>block >= top:
            size -= STEP_BYTES if size <= SMALL_BYTES else size // 2
    return taken


cdef size_t fill_pools() noexcept:
    """Take blocks of each size until one begins a pool: then all pools that were begun are full."""
    cdef size_t size, of_size
    cdef size_t taken = 0
    cdef void* block
    for size in range(STEP_BYTES, MOST_OBJECT_BYTES + 1, STEP_BYTES):
        of_size = 0
        while of_size < MAX_OBJECTS_BYTES:
            block = PyObject_Malloc(size)
            if block == NULL or <uintptr_t>block % POOL_BYTES == POOL_HEADER_BYTES:
                PyObject_Free(block)
                break
            keep(&of_pools, block)
            of_size += size
        taken += of_size
    return taken


def fill_holes():
    """Take what is free between the blocks of the heap, until the next call. Returns how many bytes.

    Call it before children are forked that are to share the heap. What this process allocates meanwhile lies behind
    all of it.
    """
    cdef Filler* filler
    # malloc sets the first few of a size aside, and joins what is freed later with the free chunk beside it: what
    # was taken last, at the end of the heap. So the heap does not grow from call to call.
    while (filler := taken_off(&of_heap)) != NULL:
        free(filler)
    while (filler := taken_off(&of_pools)) != NULL:
        PyObject_Free(filler)
    join_free()
    return 0 if FASTDNS_POISONED else fill_heap() + fill_pools()


cdef bint is_zero(const char* page, size_t size) noexcept nogil:
    return page[0] == 0 and memcmp(page, page + 1, size - 1) == 0


def give_back_zeros():
    """Give the pages back that only this process has, and that hold zeros only: they are zeros again when they are
    looked at. Returns how many bytes. Call it while the process has one thread: another could write meanwhile.

    Anonymous and private mappings only (the heap). Does nothing where the kernel shows no pagemap, and nothing in a
    build with the address sanitizer.
    """
    cdef uint64_t entries[BATCH]
    cdef uintptr_t at, end
    cdef uint64_t given = 0
    cdef size_t page = mmap.PAGESIZE
    cdef ssize_t size
    cdef int i
    cdef int fd
    if FASTDNS_POISONED:
        return 0
    mappings = []
    try:
        with builtins.open("/proc/self/maps") as lines:
            for line in lines:
                where, access, _, _, inode, *name = line.split()
                if access == "rw-p" and inode == "0" and (not name or name[0] == "[heap]"):
                    mappings.append(where.split("-"))
    except OSError:
        return 0
    fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)
    if fd < 0:
        return 0
    for begin, stop in mappings:
        at = int(begin, 16)
        end = int(stop, 16)
        if end - at > MAX_MAPPING_BYTES:
            continue
        with nogil:
            while at < end:
                size = (end - at) // page
                size = pread(fd, entries, ENTRY_BYTES * (size if size < BATCH else BATCH),
                             <long long>(at // page * ENTRY_BYTES))
                if size < ENTRY_BYTES:
                    break
                for i in range(size // ENTRY_BYTES):
                    if entries[i] & PRESENT and entries[i] & EXCLUSIVE and is_zero(<const char*>at, page):
                        if madvise(<void*>at, page, MADV_DONTNEED) == 0:
                            given += page
                    at += page
    close(fd)
    return given
