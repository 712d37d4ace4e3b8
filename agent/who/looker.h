/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The looker: a process that reads for the agent what another process, or a user, may make one wait for: command lines and
 * descriptors of processes, records of container runtimes. The agent's loop asks, and goes on. A look that takes longer than
 * LOOK_NS is given up: the looker is killed, the next look gets a new one, and the process or user that was looked at is left
 * alone for a while, which doubles each time.
 *
 * Looks wait in queues, one for each class, which take turns: however many wait in one, the others are served. What any user
 * can make stuck takes at most a fifth of the time, besides.
 */
#ifndef NESTOR_LOOKER_H
#define NESTOR_LOOKER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "agent/who/look.h"

struct loop;
struct metrics;
struct looker;

#define LOOK_NS (500ULL * 1000000) /* for one answer of a look */
#define LOOK_SCAN_NS (5ULL * 1000000000) /* for a scan: between two answers */
/* Nobody is looked at for this long after the first look was given up; then for twice as long, up to the most. */
#define LOOK_PENALTY_NS (2ULL * 1000000000)
#define LOOK_PENALTY_TRUSTED_NS (10ULL * 1000000000)
#define LOOK_PENALTY_MOST_NS (300ULL * 1000000000)
/*
 * Lookers that were killed and have not ended: in a call that no signal ends, as a FUSE server can have it. At the first
 * number nothing is looked at that any user can make stuck, at the second only what nobody can.
 */
#define LOOKERS_STUCK_SOME 3
#define LOOKERS_STUCK_MOST 6

enum look_class {
	LOOK_SAFE, /* nobody can make it stuck */
	LOOK_SCANS, /* nor this, which takes its time */
	LOOK_TRUSTED, /* VMs that are vouched for, which may be taken over all the same */
	LOOK_OTHERS, /* VMs and containers of any user */
	LOOK_CLASSES,
};

/*
 * A look that is asked for again and again. The caller fills in what stands above the line, and zeroes the rest; it may
 * change while the look is not asked for.
 */
struct look {
	enum look_type type;
	enum look_class class;
	__u64 group; /* of LOOK_TRUSTED and LOOK_OTHERS: who is left alone if this gets stuck */
	int pid;
	__u64 start;
	bool again;
	const char *path; /* stays as long as the look is asked for */
	struct cgroup_user user; /* of the path */
	/*
	 * Each part, and the end, which has error 0; -ESRCH: no such process; -ENODATA: not to be read; -ETIMEDOUT: it was
	 * given up; -EBUSY: it is left alone; -EIO: the looker failed. After the end the look may be asked for again, or freed.
	 */
	void (*answer)(struct look *l, const struct look_reply *reply);
	void *data;
	/* ---- */
	bool asked;
	TAILQ_ENTRY(look) entry;
};

/* No looker runs until one is needed. 0 or -errno, logged. */
int looker_open(struct loop *loop, struct looker **ret);
void looker_close(struct looker *k); /* waits for none; of what was asked for nothing is answered */

/* Answers come later, from the loop. Nothing happens if it is asked for already. */
void looker_ask(struct looker *k, struct look *l);
void looker_drop(struct looker *k, struct look *l); /* it is not answered any more */

/* For the start: answers until nothing is asked for any more, at most @timeout_ms. */
void looker_settle(struct looker *k, int timeout_ms);

void looker_collect(const struct looker *k, struct metrics *m);

/* For a group: FNV-1a */
__u64 looker_hash(const char *text);

#endif
