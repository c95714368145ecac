/* A disk, a network drive or a permission that fails: preloaded before the C library.

   FAILING_FILE: part of a path. FAILING_NUMBER: the error. FAILING_FROM: first byte that cannot be
   read; -1 makes opening and listing fail. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long failing_from(void) {
    const char *from = getenv("FAILING_FROM");
    return from ? atol(from) : 0;
}

static int fails(const char *path) {
    const char *part = getenv("FAILING_FILE");
    return part && *part && path && strstr(path, part);
}

static int fail(void) {
    errno = atoi(getenv("FAILING_NUMBER"));
    return -1;
}

ssize_t read(int file, void *buffer, size_t size) {
    static ssize_t (*real)(int, void *, size_t);
    char link[64], path[4096];
    if (!real) real = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    if (getenv("FAILING_FILE") && failing_from() >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length > 0 ? length : 0] = 0;
        if (fails(path)) {
            off_t at = lseek(file, 0, SEEK_CUR);
            if (at >= failing_from()) return fail();
            if (at + (off_t)size > failing_from()) size = failing_from() - at;
        }
    }
    return real(file, buffer, size);
}

#define OPEN(name)                                                                      \
    int name(const char *path, int flags, ...) {                                        \
        static int (*real)(const char *, int, ...);                                     \
        va_list more;                                                                   \
        va_start(more, flags);                                                          \
        int mode = va_arg(more, int);                                                   \
        va_end(more);                                                                   \
        if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);     \
        if (fails(path) && failing_from() < 0) return fail();                           \
        return real(path, flags, mode);                                                 \
    }
OPEN(open)
OPEN(open64)

DIR *opendir(const char *path) {
    static DIR *(*real)(const char *);
    if (!real) real = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
    if (fails(path) && failing_from() < 0) {
        fail();
        return NULL;
    }
    return real(path);
}
