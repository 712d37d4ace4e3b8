// SPDX-License-Identifier: GPL-2.0
/*
 * noreap COMMAND ARG…: runs it, says "ended" when it did, and lives on until it is ended itself. Orphans below it
 * become its children, and it waits for none of them: they stay zombies, as under an init that does not care.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	pid_t pid;

	if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 1;
	pid = fork();
	if (!pid) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return 1;
	puts("ended");
	fflush(stdout);
	pause();
	return 0;
}
