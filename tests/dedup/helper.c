// SPDX-License-Identifier: GPL-2.0
/* budget: 10, lane: free */
/* The process that does a round reports its error even if that quotes bytes that are no UTF-8. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/dedup/helper.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

/* A process that has ended, which has no memory to read. */
static pid_t make_zombie(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT);
	return pid;
}

static json_t *result_of(json_t *job)
{
	int in = memfd_create("job", 0), out = memfd_create("result", 0);
	pid_t pid;

	if (in < 0 || out < 0 || json_dumpfd(job, in, 0) || lseek(in, 0, SEEK_SET))
		exit(2);
	json_decref(job);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		_exit(dedup_main((char *[]){ DEDUP_NAME, "/", NULL }));
	}
	waitpid(pid, NULL, 0);
	lseek(out, 0, SEEK_SET);
	job = json_loadfd(out, 0, NULL);
	close(in);
	close(out);
	return job;
}

/* log_last_error() holds 255 bytes: an odd number, and characters have two. */
static void test_error(const char *first)
{
	char name[400];
	size_t len = (size_t)snprintf(name, sizeof(name), "%s", first);
	pid_t pid = make_zombie();
	json_t *result;

	while (len + 2 < sizeof(name))
		len += (size_t)snprintf(name + len, sizeof(name) - len, "\xc3\xbc");
	result = result_of(json_pack("{s:[{s:s, s:i}], s:s, s:{}, s:i}", "owners", "name", name, "pid", (int)pid, "device",
				     "cpu", "except", "percent", 100));
	waitpid(pid, NULL, 0);
	ok(json_is_string(json_object_get(result, "error")), "dedup round: an error that is cut %s is reported",
	   *first ? "between characters" : "within a character");
	json_decref(result);
}

int main(void)
{
	if (geteuid()) {
		ok(true, "dedup round: an error is reported # SKIP needs root");
		return done_testing();
	}
	test_error("");
	test_error("x");
	return done_testing();
}
