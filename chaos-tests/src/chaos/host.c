/* What a host does to its daemons: loaded into each by LD_PRELOAD.
 *
 * The driver writes into a file that is mapped here, so a fault costs nothing while there is none.
 * RAFTER_CHAOS_CONTROL names the file. The wall clock is moved, and the monotonic one is not; a
 * failing fsync writes nothing, and a stalled one writes late. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t clock_ns;      /* added to the wall clock */
    volatile int32_t sync_errno;    /* what each fsync fails with, unless 0 */
    volatile int32_t sync_stall_ms; /* how long each fsync takes more */
};

static struct control none;
static struct control *control = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("RAFTER_CHAOS_CONTROL");
    if (!path) return;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) control = mapped;
    close(file);
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static struct timespec moved(struct timespec at, int64_t by) {
    int64_t seconds = by / 1000000000, nanos = by % 1000000000 + at.tv_nsec;
    if (nanos < 0) { nanos += 1000000000; seconds -= 1; }
    if (nanos >= 1000000000) { nanos -= 1000000000; seconds += 1; }
    at.tv_sec += seconds;
    at.tv_nsec = nanos;
    return at;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    REAL(clock_gettime);
    int failed = real(clock, at);
    int64_t by = control->clock_ns;
    if (!failed && by && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        *at = moved(*at, by);
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

/* Who waits until a moment of the moved clock is woken by one that was not moved. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) {
        void *found = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
        if (!found) found = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
        real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))found;
    }
    /* A moment so early is one of the monotonic clock: the machine booted after 2001. */
    int wall = until->tv_sec > 1000000000;
    struct timespec real_until = moved(*until, wall ? -control->clock_ns : 0);
    return real(cond, mutex, &real_until);
}

static int hurt(void) {
    int32_t stall = control->sync_stall_ms;
    if (stall > 0) {
        struct timespec pause = {stall / 1000, (stall % 1000) * 1000000L};
        while (nanosleep(&pause, &pause) && errno == EINTR) {}
    }
    int32_t error = control->sync_errno;
    if (error) errno = error;
    return error;
}

int fsync(int file) {
    REAL(fsync);
    return hurt() ? -1 : real(file);
}

int fdatasync(int file) {
    REAL(fdatasync);
    return hurt() ? -1 : real(file);
}

int msync(void *from, size_t length, int flags) {
    REAL(msync);
    return hurt() ? -1 : real(from, length, flags);
}
