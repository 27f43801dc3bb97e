"""Samples of what the threads of several processes do, in memory that they share.

The kernel's timers send SIGPROF to each thread of a process: one timer a thread, by the CPU time that it uses, or
by the time that passes. The handler, in C, writes the thread's stack of native addresses into the shared memory. It
does so for threads that run no Python. For the main thread it keeps the stack in this process, and has Python call
the handler that Python knows, which sees the stack of Python's frames, and takes both.

``share`` is called once, before processes are forked that are to take part: the handler and the memory are theirs
as well. The handler allocates nothing and takes no lock. Samples for which there is no room are counted.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.memory._atomics cimport fetch_add, load_relaxed, publish_u64
from fastdns.memory._mapping cimport give_pages, map_shared

import os

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <Python.h>
    #include <errno.h>
    #include <signal.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    #include <unwind.h>

    #ifndef sigev_notify_thread_id
    #define sigev_notify_thread_id _sigev_un._tid
    #endif
    #ifndef SIGEV_THREAD_ID
    #define SIGEV_THREAD_ID 4
    #endif

    /* The kernel's number of the clock of what one thread of this process uses: see CPUCLOCK_PERTHREAD there. */
    static clockid_t clock_of(int tid) { return (clockid_t)(((unsigned)~tid << 3) | 6); }

    static int begin_timer(int tid, int64_t interval_ns, int wall, timer_t *timer) {
        struct sigevent event;
        struct itimerspec times;
        memset(&event, 0, sizeof(event));
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = SIGPROF;
        event.sigev_notify_thread_id = tid;
        if (timer_create(wall ? CLOCK_MONOTONIC : clock_of(tid), &event, timer) != 0)
            return -1;
        times.it_interval.tv_sec = interval_ns / 1000000000;
        times.it_interval.tv_nsec = interval_ns % 1000000000;
        times.it_value = times.it_interval;
        return timer_settime(*timer, 0, &times, NULL);
    }

    struct Walk { uint64_t *frames; unsigned count, most, skip; };

    static _Unwind_Reason_Code walk_on(struct _Unwind_Context *context, void *argument) {
        struct Walk *walk = (struct Walk *)argument;
        uintptr_t at = (uintptr_t)_Unwind_GetIP(context);
        if (at == 0 || walk->count == walk->most)
            return _URC_END_OF_STACK;
        if (walk->skip)
            walk->skip--;
        else
            walk->frames[walk->count++] = at;
        return _URC_NO_REASON;
    }

    /* The stack of this thread, from where it was interrupted: this function, the handler and the kernel's return
       from it come first. */
    static __attribute__((noinline)) unsigned stack_of(uint64_t *frames, unsigned most, unsigned skip) {
        struct Walk walk = {frames, 0, most, skip};
        _Unwind_Backtrace(walk_on, &walk);
        return walk.count;
    }

    static int on_signal(void (*handler)(int)) {
        struct sigaction action;
        memset(&action, 0, sizeof(action));
        action.sa_handler = handler;
        action.sa_flags = SA_RESTART;
        return sigaction(SIGPROF, &action, NULL);
    }

    static int this_thread(void) { return (int)syscall(SYS_gettid); }
    static int this_process(void) { return (int)syscall(SYS_getpid); }
    """
    ctypedef struct timer_t:
        pass
    int begin_timer(int tid, int64_t interval_ns, int wall, timer_t* timer) nogil
    int timer_delete(timer_t timer) nogil
    unsigned int stack_of(uint64_t* frames, unsigned int most, unsigned int skip) noexcept nogil
    int on_signal(void (*handler)(int) noexcept nogil) nogil
    int this_thread() noexcept nogil
    int this_process() noexcept nogil
    int PyErr_SetInterruptEx(int signum) noexcept nogil
    int c_errno "errno"

cdef enum:
    MAX_FRAMES = 48
    MAX_SAMPLES = 32768
    MAX_TIMERS = 64
    MAX_TEXT_BYTES = 4 << 20
    PROF = 27               # SIGPROF
    # stack_of, on_sample, and the frame of the signal.
    OWN_FRAMES = 3

cdef struct Sample:
    uint32_t pid
    uint32_t tid
    uint64_t count          # of frames; 0: not written yet
    uint64_t frames[MAX_FRAMES]

cdef struct Shared:
    uint64_t running        # the number of the profile that is being taken; 0: none
    uint64_t interval_ns
    uint64_t wall           # 1: time that passes, 0: CPU time
    uint64_t begun          # processes that take part
    uint64_t ended          # those of them that have told everything
    uint64_t taken          # samples, those without room included
    uint64_t text_used      # bytes, those without room included
    Sample samples[MAX_SAMPLES]
    unsigned char text[MAX_TEXT_BYTES]

cdef Shared* shared = NULL
# Of this process.
cdef timer_t timers[MAX_TIMERS]
cdef int timer_count = 0
cdef uint64_t main_frames[MAX_FRAMES]
cdef unsigned int main_count = 0
cdef uint64_t main_pending = 0


cdef void on_sample(int number) noexcept nogil:
    """What the threads of all processes run for a sample. What is interrupted finds errno as it was."""
    global main_count, main_pending, c_errno
    cdef int errno_before = c_errno
    cdef uint64_t at
    cdef Sample* sample
    cdef int tid
    if shared == NULL or load_relaxed(&shared.running) == 0:
        return
    tid = this_thread()
    if tid == this_process():
        if main_pending == 0:
            main_count = stack_of(main_frames, MAX_FRAMES, OWN_FRAMES)
        main_pending += 1
        # Python calls its handler of SIGPROF when it is next between two instructions.
        PyErr_SetInterruptEx(PROF)
    else:
        at = fetch_add(&shared.taken, 1)
        if at < MAX_SAMPLES:
            sample = &shared.samples[at]
            sample.pid = <uint32_t>this_process()
            sample.tid = <uint32_t>tid
            publish_u64(&sample.count, stack_of(sample.frames, MAX_FRAMES, OWN_FRAMES))
    c_errno = errno_before


def share() -> None:
    """Have the memory, and take SIGPROF in this process and in those that it will fork. Raises OSError."""
    global shared
    if shared == NULL:
        shared = <Shared*>map_shared(sizeof(Shared))
        if shared == NULL:
            raise MemoryError("no memory for a profile")
    # Once before it counts: what unwinding loads is loaded then.
    stack_of(main_frames, MAX_FRAMES, 0)
    if on_signal(on_sample) != 0:
        raise OSError(c_errno, os.strerror(c_errno))


def ask(number: int, interval_ns: int, wall: bool) -> None:
    """From now on processes that are told so take part in a profile. number: over 0."""
    shared.interval_ns = interval_ns
    shared.wall = wall
    publish_u64(&shared.running, number)


def unask() -> None:
    """No samples are taken any more."""
    publish_u64(&shared.running, 0)


def running() -> int:
    """The number of the profile that is being taken; 0: none."""
    return 0 if shared == NULL else load_relaxed(&shared.running)


def progress() -> tuple[int, int]:
    """Processes that have begun to take part, and those that have ended."""
    return load_relaxed(&shared.begun), load_relaxed(&shared.ended)


def begin() -> None:
    """Time all threads of this process. A thread that has ended meanwhile has no timer, nor has one too many."""
    global timer_count, main_pending
    main_pending = 0
    # Who forked this process has its own.
    timer_count = 0
    for name in os.listdir("/proc/self/task"):
        if timer_count == MAX_TIMERS:
            break
        if begin_timer(int(name), shared.interval_ns, shared.wall != 0, &timers[timer_count]) == 0:
            timer_count += 1
    fetch_add(&shared.begun, 1)


def end() -> None:
    """Time them no more."""
    global timer_count
    while timer_count:
        timer_count -= 1
        timer_delete(timers[timer_count])


def take_main() -> tuple[int, list[int]]:
    """How many samples the main thread is due, and the native stack at the first of them."""
    global main_pending
    cdef list frames = [main_frames[i] for i in range(main_count)]
    cdef uint64_t count = main_pending
    main_pending = 0
    return count, frames


def tell(text: bytes) -> None:
    """Add to what the processes have to say: a few lines each. What finds no room is left out."""
    cdef uint64_t at = fetch_add(&shared.text_used, len(text))
    if at + len(text) <= MAX_TEXT_BYTES:
        memcpy(&shared.text[at], <const unsigned char*>text, len(text))
    fetch_add(&shared.ended, 1)


def told() -> bytes:
    """All of that."""
    cdef uint64_t size = min(load_relaxed(&shared.text_used), MAX_TEXT_BYTES)
    return (<const unsigned char*>shared.text)[:size]


def samples() -> list[tuple[int, int, tuple[int, ...]]]:
    """(pid, tid, native addresses, the innermost first) of all samples of threads without Python."""
    cdef uint64_t count = min(load_relaxed(&shared.taken), MAX_SAMPLES)
    cdef list found = []
    cdef Sample* sample
    for i in range(count):
        sample = &shared.samples[i]
        if sample.count:
            found.append((sample.pid, sample.tid, tuple([sample.frames[j] for j in range(sample.count)])))
    return found


def lost() -> int:
    """Samples for which there was no room."""
    return max(0, <int64_t>load_relaxed(&shared.taken) - MAX_SAMPLES)


def clear() -> None:
    """Give the memory of all samples back."""
    give_pages(shared, sizeof(Shared))
