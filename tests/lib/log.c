// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 5
 * lane: free
 * Logging never waits for whoever reads standard error: messages are dropped and counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define MESSAGES 5000 /* more than a pipe, a socket or a terminal buffers */
#define SECONDS_MAX 30 /* then the process is stuck */

static char text[1 << 20];

/* Reads what is there. */
static size_t drain(int fd)
{
	size_t len = 0;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

static unsigned int count_lines(const char *line)
{
	unsigned int nr = 0;

	for (const char *p = text; (p = strstr(p, line)); p++)
		nr++;
	return nr;
}

/* In a process of its own: logs until nothing more is accepted, has the reader drain, and logs once more. Its exit status. */
static int fill(int err_fd, int reader, void (*resume)(int fd))
{
	unsigned long long dropped;
	char line[128];
	unsigned int written;

	dup2(err_fd, STDERR_FILENO);
	log_open("test", LOG_LEVEL_INFO);
	for (unsigned int i = 0; i < MESSAGES; i++)
		log_info("a message");
	dropped = log_dropped();
	if (!dropped)
		return 2;
	if (resume)
		resume(err_fd);
	drain(reader);
	written = count_lines("test: a message");
	if (written + dropped != MESSAGES)
		return 3;
	log_info("another message");
	drain(reader);
	snprintf(line, sizeof(line), "test: dropped %llu log messages: standard error was not read", dropped);
	return count_lines(line) == 1 && count_lines("test: another message") == 1 && log_dropped() == dropped ? 0 : 4;
}

static void test_full(const char *what, int err_fd, int reader, void (*resume)(int fd))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(fill(err_fd, reader, resume));
	if (child_wait(pid, SECONDS_MAX * 1000, &status)) {
		kill(pid, SIGKILL);
		child_wait(pid, -1, NULL);
	}
	ok(status >= 0, "log: %s: messages are dropped and not waited for", what);
	ok(status >= 0 && WEXITSTATUS(status) != 2 && WEXITSTATUS(status) != 3,
	   "log: %s: each message is written or counted as dropped", what);
	ok(status == 0, "log: %s: the number of dropped messages is reported once the reader is back", what);
	ok(!(fcntl(err_fd, F_GETFL) & O_NONBLOCK), "log: %s: standard error is not made non-blocking for its other users",
	   what);
	close(err_fd);
	close(reader);
}

static void resume_terminal(int fd)
{
	tcflow(fd, TCOON);
}

static void test_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), terminal;
	struct termios raw;

	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    (terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
		ok(true, "log: a stopped terminal # SKIP there are no pseudo-terminals");
		return;
	}
	tcgetattr(terminal, &raw);
	cfmakeraw(&raw);
	tcsetattr(terminal, TCSANOW, &raw);
	tcflow(terminal, TCOOFF); /* as ^S does */
	test_full("a stopped terminal", terminal, master, resume_terminal);
}

/* ---- what is no fault of the reader ---- */

static int say_without_reader(int err_fd)
{
	dup2(err_fd, STDERR_FILENO);
	close(err_fd);
	log_open("test", LOG_LEVEL_INFO);
	log_info("a message");
	return log_dropped() == 1 ? 0 : 1;
}

static void test_no_reader(void)
{
	int ends[2], status = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return;
	close(ends[0]);
	pid = fork();
	if (!pid)
		_exit(say_without_reader(ends[1]));
	child_wait(pid, SECONDS_MAX * 1000, &status);
	ok(status == 0, "log: a message to a pipe without readers is counted, and raises no signal");
	close(ends[1]);
}

static int open_standard_fds(void)
{
	struct stat null, st;

	for (int fd = 0; fd < 3; fd++)
		close(fd);
	if (util_open_standard_fds() || stat("/dev/null", &null))
		return 1;
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) || st.st_rdev != null.st_rdev)
			return 1;
	return 0;
}

static void test_closed(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(open_standard_fds());
	child_wait(pid, SECONDS_MAX * 1000, &status);
	ok(status == 0, "util: closed standard descriptors become /dev/null");
}

int main(void)
{
	int ends[2];

	setvbuf(stdout, NULL, _IONBF, 0);
	if (!pipe2(ends, O_CLOEXEC))
		test_full("a full pipe", ends[1], ends[0], NULL);
	if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		test_full("a full socket", ends[1], ends[0], NULL);
	test_terminal();
	test_no_reader();
	test_closed();
	return done_testing();
}
