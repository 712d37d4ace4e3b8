// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/lib/util.h"
#include "gpu/ptx.h"

#define ARCH "sm_70" /* the oldest that CUDA's back end takes; drivers compile it for newer ones */
#define MATHS "/usr/lib/clc/nvptx64--nvidiacl.bc" /* Debian's libclc-*-dev: sin() and the like */

extern char **environ;

static int memfd_of(const char *text)
{
	int fd = memfd_create("nestor-ptx", MFD_CLOEXEC);
	size_t len = strlen(text);

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) == (ssize_t)len && !lseek(fd, 0, SEEK_SET))
		return fd;
	close(fd);
	return -EIO;
}

/* Its beginning, up to @size - 1 bytes; NULL-terminated. */
static void read_back(int fd, char *to, size_t size)
{
	ssize_t n = pread(fd, to, size - 1, 0);

	to[n > 0 ? n : 0] = '\0';
}

static int run(int in, int out, int err)
{
	char *const plain[] = { "clang",
				"-x",
				"cl",
				"-cl-std=CL1.2",
				"--target=nvptx64-nvidia-cuda",
				"-Xclang",
				"-finclude-default-header",
				"-Xclang",
				"-target-cpu",
				"-Xclang",
				ARCH,
				"-O2",
				"-S",
				"-o",
				"-",
				"-",
				/* only where that is there */ "-Wno-linker-warnings",
				"-Xclang",
				"-mlink-builtin-bitcode",
				"-Xclang",
				MATHS,
				NULL };
	char *args[ARRAY_SIZE(plain)];
	posix_spawn_file_actions_t files;
	int status, failed;
	pid_t pid;

	memcpy(args, plain, sizeof(plain));
	if (access(MATHS, R_OK))
		args[16] = NULL;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
	failed = posix_spawnp(&pid, "clang", &files, NULL, args, environ);
	posix_spawn_file_actions_destroy(&files);
	if (failed)
		return -failed;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EINVAL;
}

int ptx_compile(const char *source, char **ret, char *log, size_t log_size)
{
	_close_ int in = memfd_of(source), out = memfd_of(""), said = memfd_of("");
	off_t size;
	int err;

	*log = '\0';
	if (in < 0 || out < 0 || said < 0)
		return -ENOMEM;
	err = run(in, out, said);
	read_back(said, log, log_size);
	if (err == -ENOENT)
		snprintf(log, log_size, "clang is not installed");
	size = lseek(out, 0, SEEK_END);
	if (err || size <= 0)
		return err ?: -EIO;
	*ret = malloc((size_t)size + 1);
	if (!*ret)
		return -ENOMEM;
	read_back(out, *ret, (size_t)size + 1);
	return 0;
}
