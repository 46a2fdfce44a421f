/* Plain POSIX calls, each repeated when a signal interrupts it.  The name is taken without
 * replacing anything by renameat2, or by link on file systems that know no such rename. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "memory.h"

enum { NAME_ROOM = 48, NAME_TRIES = 1000 };

static int32_t exists_already(const char *path)
{
    return error_set(CEM_EFILE, "'%s' exists already; choose another name or allow overwriting",
                     path);
}

static int32_t cannot_write(const char *path, int error)
{
    if (error == ENOSPC || error == EDQUOT)
        return error_set(
            CEM_EFILE, "no space left to write '%s'; free some space or choose another disk", path);
    return error_set(CEM_EFILE, "cannot write '%s': %s", path, strerror(error));
}

static int32_t check_target(const char *path, int32_t overwrite)
{
    struct stat info;

    if (!path[0]) return error_set(CEM_EFILE, "the path of the output is empty; give a file name");
    if (stat(path, &info) != 0) return CEM_OK;
    if (!S_ISREG(info.st_mode))
        return error_set(CEM_EFILE, "'%s' is not an ordinary file; choose another name", path);
    return overwrite ? CEM_OK : exists_already(path);
}

/* A temporary of the same name can only be what a killed process with our number left behind, so
 * the next number is tried. */
static int32_t create_temporary(struct output *output)
{
    static _Atomic uint32_t number;
    int64_t room = (int64_t)strlen(output->path) + NAME_ROOM;

    char *name = memory_raw(room, 1);
    int error = 0;

    if (!name) return CEM_EMEMORY;
    for (int i = 0; i < NAME_TRIES && output->fd < 0; i++) {
        snprintf(name, (size_t)room, "%s.%ld-%u.tmp", output->path, (long)getpid(),
                 (unsigned)atomic_fetch_add(&number, 1));
        output->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        error = output->fd < 0 ? errno : 0;
        if (error && error != EEXIST && error != EINTR) break;
    }
    if (error) memory_free(name);
    else output->temporary = name;
    return error ? cannot_write(output->path, error) : CEM_OK;
}

int32_t output_open(struct output *out, const char *path, int32_t overwrite)
{
    struct output output = OUTPUT_NONE;
    int32_t status;

    if ((status = check_target(path, overwrite)) != CEM_OK) return status;
    output.overwrite = overwrite;
    if (!(output.path = memory_text(path))) return CEM_EMEMORY;
    if ((status = create_temporary(&output)) != CEM_OK) {
        output_free(&output);
        return status;
    }
    *out = output;
    return CEM_OK;
}

int32_t output_write(struct output *output, const void *bytes, int64_t size)
{
    const char *next = bytes;

    while (size > 0) {
        ssize_t written = write(output->fd, next, (size_t)size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return cannot_write(output->path, errno);
        next += written;
        size -= written;
    }
    return CEM_OK;
}

/* Some file systems cannot flush (EINVAL, ENOTSUP): then there is nothing to do. */
static int flush(int fd)
{
    int result;

    do result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result != 0 && (errno == EINVAL || errno == ENOTSUP) ? 0 : result;
}

/* Makes the rename itself durable.  The file is in place by then, so this may fail unnoticed. */
static void flush_directory(char *path)
{
    char *slash = strrchr(path, '/');
    char after = 0;
    int fd;

    if (slash) {
        after = slash[1];
        slash[1] = 0;
    }
    fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash) slash[1] = after;
    if (fd < 0) return;
    (void)flush(fd);
    close(fd);
}

static int rename_without_replacing(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return -1;
    if (link(from, to) != 0) return -1;
    unlink(from);
    return 0;
}

int32_t output_finish(struct output *output)
{
    int fd = output->fd, failed;

    if (flush(fd) != 0) return cannot_write(output->path, errno);
    output->fd = -1;
    if (close(fd) != 0 && errno != EINTR) return cannot_write(output->path, errno);
    failed = output->overwrite ? rename(output->temporary, output->path)
                               : rename_without_replacing(output->temporary, output->path);
    if (failed && errno == EEXIST) return exists_already(output->path);
    if (failed) return cannot_write(output->path, errno);
    memory_free(output->temporary);
    output->temporary = NULL;
    flush_directory(output->path);
    return CEM_OK;
}

void output_free(struct output *output)
{
    if (output->fd >= 0) close(output->fd);
    if (output->temporary) unlink(output->temporary);
    memory_free(output->temporary);
    memory_free(output->path);
    *output = OUTPUT_NONE;
}
