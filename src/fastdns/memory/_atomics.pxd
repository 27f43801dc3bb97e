"""Loads, stores and exchanges of words that several threads or processes share, with their ordering.

``load`` sees everything that was written before the ``publish_u64`` whose value it reads.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #ifndef FASTDNS_ATOMICS
    #define FASTDNS_ATOMICS
    static inline uint64_t fda_load(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline uint64_t fda_peek(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
    static inline uint32_t fda_peek32(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
    static inline void fda_store(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    static inline void fda_set(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
    static inline void fda_set32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
    static inline void fda_raise(uint64_t *p, uint64_t v) {
        uint64_t was = __atomic_load_n(p, __ATOMIC_RELAXED);
        while (was < v && !__atomic_compare_exchange_n(p, &was, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) { }
    }
    static inline uint64_t fda_add(uint64_t *p, uint64_t n) { return __atomic_fetch_add(p, n, __ATOMIC_ACQ_REL); }
    static inline int fda_swap(uint64_t *p, uint64_t old, uint64_t v) {
        return __atomic_compare_exchange_n(p, &old, v, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    static inline void fda_acquire(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
    static inline void fda_release(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
    static inline void fda_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    static inline void fda_prefetch(const void *p) { __builtin_prefetch(p); }
    #endif
    """
    uint64_t load "fda_load"(const uint64_t* at) noexcept nogil
    uint64_t load_relaxed "fda_peek"(const uint64_t* at) noexcept nogil
    uint32_t load_relaxed_u32 "fda_peek32"(const uint32_t* at) noexcept nogil
    void publish_u64 "fda_store"(uint64_t* at, uint64_t value) noexcept nogil
    void store_relaxed "fda_set"(uint64_t* at, uint64_t value) noexcept nogil
    void store_relaxed_u32 "fda_set32"(uint32_t* at, uint32_t value) noexcept nogil
    # Store the value where it is larger than what is there.
    void raise_u64 "fda_raise"(uint64_t* at, uint64_t value) noexcept nogil
    # Returns what was there before.
    uint64_t fetch_add "fda_add"(uint64_t* at, uint64_t count) noexcept nogil
    # Whether old was there, and value is now.
    bint compare_and_swap "fda_swap"(uint64_t* at, uint64_t old, uint64_t value) noexcept nogil
    void acquire_fence "fda_acquire"() noexcept nogil
    void release_fence "fda_release"() noexcept nogil
    void fence "fda_fence"() noexcept nogil
    # Have the memory fetched. A hint.
    void prefetch "fda_prefetch"(const void* at) noexcept nogil
