/* Kills the process at the N-th call that changes a SQLite database, or makes it durable.

   Preloaded (LD_PRELOAD). KILL_DATABASE is the path of the database; its -wal, -shm and -journal count too.
   KILL_CONTROL is a file that is shared with whoever chooses the point, and outlives the process:
   control.py writes and reads it. What SQLite writes to the -shm through a mapping is not seen here, and need
   not be: who opens the database after a crash makes that file anew. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOGGED 65536

struct control {
    int64_t at;    /* 0: do not even count */
    int64_t torn;  /* do the first half of a write before */
    int64_t count;
    char log[LOGGED][2];  /* which call, and on which file: the last letter of its name */
};

static struct control *control;
static const char *database;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("KILL_CONTROL");
    database = getenv("KILL_DATABASE");
    int file = path && database ? open(path, O_RDWR) : -1;
    if (file < 0)
        return;
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared != MAP_FAILED)
        control = shared;
}

static int reaches_path(char call, const char *path) {
    size_t length = strlen(database);
    if (strncmp(path, database, length))
        return 0;
    const char *rest = path + length;
    if (*rest && strcmp(rest, "-wal") && strcmp(rest, "-shm") && strcmp(rest, "-journal"))
        return 0;
    int64_t number = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
    if (number <= LOGGED) {
        control->log[number - 1][0] = call;
        control->log[number - 1][1] = *rest ? rest[1] : 'd';
    }
    return number == __atomic_load_n(&control->at, __ATOMIC_SEQ_CST);
}

static int is_armed(void) {
    return control && __atomic_load_n(&control->at, __ATOMIC_SEQ_CST);
}

static int reaches(char call, int file) {
    char link[64], path[4096];
    if (!is_armed())
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return reaches_path(call, path);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t size) {
    if (reaches('w', file)) {
        if (control->torn)
            REAL(write)(file, bytes, size / 2);
        die();
    }
    return REAL(write)(file, bytes, size);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) {
    if (reaches('w', file)) {
        if (control->torn)
            REAL(pwrite)(file, bytes, size / 2, offset);
        die();
    }
    return REAL(pwrite)(file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset) {
    if (reaches('w', file)) {
        if (control->torn)
            REAL(pwrite64)(file, bytes, size / 2, offset);
        die();
    }
    return REAL(pwrite64)(file, bytes, size, offset);
}

int ftruncate(int file, off_t size) {
    if (reaches('t', file))
        die();
    return REAL(ftruncate)(file, size);
}

int ftruncate64(int file, off64_t size) {
    if (reaches('t', file))
        die();
    return REAL(ftruncate64)(file, size);
}

int fsync(int file) {
    if (reaches('s', file))
        die();
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    if (reaches('s', file))
        die();
    return REAL(fdatasync)(file);
}

int unlink(const char *path) {
    if (is_armed() && reaches_path('u', path))
        die();
    return REAL(unlink)(path);
}

int rename(const char *from, const char *to) {
    if (is_armed() && (reaches_path('r', from) || reaches_path('r', to)))
        die();
    return REAL(rename)(from, to);
}
