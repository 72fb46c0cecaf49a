/* A disk that fails: preloaded into a program (LD_PRELOAD), it makes one write below a folder fail.
 *
 * DISK_BELOW  the folder, as an absolute path; nothing else is touched
 * DISK_AT     which call fails, counted from 1; 0 or absent: none
 * DISK_ERROR  the error number it fails with
 * DISK_LASTS  1: every later call fails as well. A disk that is full (ENOSPC) still lets files be
 *             cut and removed; any other error meets these calls, too
 * DISK_SHORT  1: only calls of write count, and the one writes half; what comes after it is as
 *             DISK_LASTS says
 * DISK_LOG    a file that gets one line: the call that failed and its path; without DISK_AT, a
 *             line for every call that could have
 *
 * Calls that count: write, writev, fsync, fdatasync, ftruncate, rename, mkdir, and open for
 * writing. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static long number(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

static void note(const char *call, const char *path) {
    const char *log = getenv("DISK_LOG");
    if (!log) return;
    /* Not through this library. */
    long file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return;
    char line[PATH_MAX + 32];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    syscall(SYS_write, file, line, (size_t)length);
    syscall(SYS_close, file);
}

/* Whether a path is the folder or below it. */
static int below(const char *path) {
    const char *folder = getenv("DISK_BELOW");
    if (!folder) return 0;
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = '\0';
    return 1;
}

enum meets { SPARED, SHORT, FAILS };

/* What a call on a path below the folder meets. `takes_space` is false of what a full disk lets
 * be done. */
static enum meets meets(const char *call, const char *path, int takes_space) {
    long at = number("DISK_AT"), error = number("DISK_ERROR");
    int shortens = (int)number("DISK_SHORT");
    int counts = !shortens || strcmp(call, "write") == 0;
    long here = counts ? ++calls : atomic_load(&calls);
    if (at == 0) {
        note(call, path);
        return SPARED;
    }
    if (counts && here == at) {
        note(call, path);
        errno = (int)error;
        return shortens ? SHORT : FAILS;
    }
    int later = here > at || (!counts && here == at);
    if (!later || !number("DISK_LASTS") || (error == ENOSPC && !takes_space)) return SPARED;
    errno = (int)error;
    return FAILS;
}

static enum meets meets_file(const char *call, int file, int takes_space) {
    char path[PATH_MAX];
    int before = errno;
    if (!path_of(file, path) || !below(path)) {
        errno = before;
        return SPARED;
    }
    return meets(call, path, takes_space);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int file, const void *bytes, size_t length) {
    REAL(write);
    switch (meets_file("write", file, 1)) {
    case FAILS: return -1;
    case SHORT: return real(file, bytes, length > 1 ? length / 2 : length);
    default: return real(file, bytes, length);
    }
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    return meets_file("writev", file, 1) == FAILS ? -1 : real(file, parts, count);
}

int fsync(int file) {
    REAL(fsync);
    return meets_file("fsync", file, 1) == FAILS ? -1 : real(file);
}

int fdatasync(int file) {
    REAL(fdatasync);
    return meets_file("fdatasync", file, 1) == FAILS ? -1 : real(file);
}

int ftruncate64(int file, off64_t length) {
    REAL(ftruncate64);
    return meets_file("ftruncate", file, 0) == FAILS ? -1 : real(file, length);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return below(to) && meets("rename", to, 1) == FAILS ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    /* Of a folder that is there already nothing is written. */
    struct stat there;
    int counts = below(path) && stat(path, &there) != 0;
    return counts && meets("mkdir", path, 1) == FAILS ? -1 : real(path, mode);
}

int unlink(const char *path) {
    REAL(unlink);
    /* Removing is no write that could fail first, but a broken disk does not even do that. */
    long at = number("DISK_AT");
    if (below(path) && at && number("DISK_LASTS") && atomic_load(&calls) >= at
        && number("DISK_ERROR") != ENOSPC) {
        errno = (int)number("DISK_ERROR");
        return -1;
    }
    return real(path);
}

int open64(const char *path, int flags, ...) {
    REAL(open64);
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list more;
        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    int writes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) && below(path);
    return writes && meets("open", path, 1) == FAILS ? -1 : real(path, flags, mode);
}
