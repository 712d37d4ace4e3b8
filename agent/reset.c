// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/base/bpfobj.h"
#include "agent/ctl/answer.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "agent/reset.h"
#include "agent/steer/cgroup_values.h"

/* An agent that runs, but with another --run-dir, would go on counting into removed maps. */
static bool is_in_use(const char *bpffs)
{
	_close_ int fd = open(bpffs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

static int print_removed(const struct ctl *c, unsigned int removed)
{
	printf(c->json ? "{\"maps_removed\": %u}\n" : "maps_removed: %u\n", removed);
	return EXIT_SUCCESS;
}

/* Limits hold while no agent runs: what they replaced comes back. */
static int undo_settings(const struct ctl *c)
{
	_close_ int dir = open(c->agent.run_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	unsigned int restored;
	int err, undone;

	if (dir < 0)
		return errno == ENOENT ? 0 : log_error(-errno, "%s: %m", c->agent.run_dir);
	if (flock(dir, LOCK_EX | LOCK_NB))
		return log_error(-EBUSY, "%s is in use by an agent that does not answer", c->agent.run_dir);
	err = cgroup_values_undo(dir, &restored);
	if (restored)
		log_info("%u limits taken back", restored);
	ctl_for_each_noun (noun, c) {
		undone = noun->undo ? noun->undo(dir) : 0;
		err = err ?: undone;
	}
	return err;
}

static int reset_without_agent(const struct ctl *c)
{
	bool kept = !access(c->bpffs, F_OK) || errno != ENOENT;
	unsigned int removed;
	int lock, err;

	if (kept && geteuid())
		return log_error(EXIT_FAILURE, "only root can remove the counters in %s; try sudo", c->bpffs);
	if (kept && is_in_use(c->bpffs))
		return log_error(EXIT_FAILURE, "%s is in use by an agent that does not answer at %s; give its --run-dir",
				 c->bpffs, c->agent.run_dir);
	if (undo_settings(c))
		return EXIT_FAILURE;
	if (!kept)
		return print_removed(c, 0);
	if (bpfobj_open_dir(c->bpffs, &lock))
		return EXIT_FAILURE;
	err = bpfobj_remove_pins(c->bpffs, &removed);
	if (!err && rmdir(c->bpffs))
		err = -errno;
	close(lock);
	return err ? log_error(EXIT_FAILURE, "%s: %s", c->bpffs, strerror(-err)) : print_removed(c, removed);
}

int ctl_reset(const struct ctl *c)
{
	_free_ char *text = NULL;
	int status;

	if (ctl_ask(&c->agent, "reset", "", -1, &status, &text))
		return reset_without_agent(c);
	if (status)
		return log_error(EXIT_FAILURE, "%s", text);
	return ctl_answer_print(c, text);
}
