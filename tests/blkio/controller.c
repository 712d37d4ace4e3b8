// SPDX-License-Identifier: GPL-2.0
// budget: 5, lane: free
/* The controller of latency targets (agent/blkio/controller.c), against a model of a disk with one queue. */
#include "agent/blkio/controller.h"
#include "agent/blkio/steer.h"
#include "agent/lib/util.h"
#include "tests/harness/tap.h"

#define TICK 0.25 /* seconds */
#define DISK 10e6 /* bytes per second that it does */
#define QUEUE_MAX 10e6 /* bytes of the neighbour's that wait at most: one second */
#define BASE 0.002 /* seconds that an I/O takes on an idle disk */
#define TARGET 0.1

static struct workload db = { .vm = "", .container = "db", .path = "/db" };
static struct workload noisy = { .vm = "", .container = "noisy", .path = "/noisy" };
static struct workload calm = { .vm = "", .container = "calm", .path = "/calm" };

struct model {
	struct controller contest;
	struct guard guard;
	struct other noisy, calm;
	struct contest_counts counts;
	double queue; /* bytes */
	double guard_share; /* of the disk, that the guard uses */
	__u64 done[2]; /* bytes that noisy and calm have read */
	__u64 now_ns;
	double slow, all; /* I/Os of the guard */
	double begun; /* part of an I/O of the guard's */
};

static void model_new(struct model *m)
{
	*m = (struct model){ .now_ns = 1, .guard_share = 0.2 };
	m->guard = (struct guard){ .one = &db, .target_ns = (__u64)(TARGET * 1e9) };
	m->noisy.one = &noisy;
	m->calm.one = &calm;
	for (unsigned int i = 0; i < 2; i++)
		m->noisy.side[i].cap = m->calm.side[i].cap = BLKIO_NO_CAP;
	LIST_INSERT_HEAD(&m->contest.guards, &m->guard, entry);
	LIST_INSERT_HEAD(&m->contest.others, &m->noisy, entry);
	LIST_INSERT_HEAD(&m->contest.others, &m->calm, entry);
}

/* What the guard waits: its two threads do 2 / latency I/Os per second. */
static void guard_works(struct model *m)
{
	double latency = BASE + m->queue / DISK, ios = 2 / latency * TICK;
	unsigned int slot = (unsigned int)(latency / TARGET * BLKIO_WATCH_STEPS);

	if (m->guard_share == 0)
		return;
	ios = (ios > 100 ? 100 : ios) + m->begun;
	m->begun = ios - (double)(__u64)ios;
	m->guard.window[slot < BLKIO_WATCH_SLOTS ? slot : BLKIO_WATCH_SLOTS - 1] += (__u64)ios;
	m->all += ios;
	m->slow += latency > 1.2 * TARGET ? ios : 0;
}

static void measured(struct model *m, struct other *o, __u64 done)
{
	controller_measured(o, (__u64[]){ done, 0 }, m->now_ns);
}

static void tick(struct model *m, bool enforce, double wish)
{
	double left = DISK * (1 - m->guard_share), cap = (double)m->noisy.side[0].cap, in, out;

	in = m->noisy.side[0].cap != BLKIO_NO_CAP && cap < wish ? cap : wish;
	out = m->queue / TICK + in < left ? m->queue / TICK + in : left;
	m->queue += (in - out) * TICK;
	m->queue = m->queue > QUEUE_MAX ? QUEUE_MAX : m->queue;
	m->done[0] += (__u64)(out * TICK);
	m->done[1] += (__u64)(20e3 * TICK);
	m->now_ns += CONTEST_TICK_NS;
	guard_works(m);
	measured(m, &m->noisy, m->done[0]);
	measured(m, &m->calm, m->done[1]);
	controller_tick(&m->contest, enforce, &m->counts);
}

static void run(struct model *m, double seconds, bool enforce, double wish)
{
	m->slow = m->all = 0;
	for (double t = 0; t < seconds; t += TICK)
		tick(m, enforce, wish);
}

static void test_without(void)
{
	struct model m;

	model_new(&m);
	run(&m, 30, false, 100e6);
	ok(m.guard.p99_ns >= 5 * m.guard.target_ns, "blkio target: without enforcement p99 is over five times the target");
	ok(m.counts.monitored > 5 && !controller_lowered(&m.contest),
	   "blkio target: mode monitor counts, and lowers no neighbour");
}

static void test_holds(void)
{
	struct model m;

	model_new(&m);
	run(&m, 8, true, 100e6);
	ok(m.guard.p99_ns < 2 * m.guard.target_ns && controller_lowered(&m.contest) == 1,
	   "blkio target: the neighbour is lowered within 8 s");
	run(&m, 10, true, 100e6);
	run(&m, 300, true, 100e6);
	ok(m.slow * 100 <= m.all, "blkio target: 99 of 100 I/Os in 5 minutes stay below 1.2 times the target (%.2f %%)",
	   m.slow * 100 / m.all);
	ok((double)m.noisy.side[0].rate > 0.5 * 0.8 * DISK,
	   "blkio target: a lowered neighbour has over half of the remaining bandwidth (%.0f %%)",
	   (double)m.noisy.side[0].rate * 100 / DISK / 0.8);
	ok(m.calm.side[0].cap == BLKIO_NO_CAP, "blkio target: a container with little I/O is not lowered");
	ok(m.noisy.side[1].cap == BLKIO_NO_CAP, "blkio target: writes are not lowered where there are none");
}

static void test_frees(void)
{
	struct model m;

	model_new(&m);
	run(&m, 20, true, 100e6);
	m.guard_share = 0;
	run(&m, 60, true, 100e6);
	ok(!controller_lowered(&m.contest), "blkio target: all are raised within a minute after the protected container stops");
	ok(m.counts.raised > 3, "blkio target: a neighbour is raised step by step");
	m.guard_share = 0.2;
	run(&m, 60, true, 1e6);
	ok(!controller_lowered(&m.contest), "blkio target: a neighbour that does not disturb is not lowered");
	run(&m, 5, true, 100e6);
	controller_release(&m.contest);
	ok(!controller_lowered(&m.contest), "blkio target: a release raises all neighbours");
}

static void test_floor(void)
{
	struct model m;

	model_new(&m);
	run(&m, 3, true, 100e6);
	for (unsigned int i = 0; i < 200; i++) {
		m.guard.window[BLKIO_WATCH_SLOTS - 1] += 50;
		controller_tick(&m.contest, true, &m.counts);
	}
	ok(m.noisy.side[0].cap == 64 * 1024, "blkio target: a lowered neighbour always has 64 KiB per second");
}

static void test_percentile(void)
{
	struct contest_counts counts = {};
	struct model m;

	model_new(&m);
	m.guard.window[3] = 990;
	m.guard.window[12] = 10;
	controller_tick(&m.contest, true, &counts);
	ok(m.guard.p99_ns == (__u64)(TARGET * 1e9) / 2,
	   "blkio target: p99 of 990 I/Os below half the target and 10 above is half the target");
	ok(!counts.lowered, "blkio target: one slow I/O in a hundred lowers no neighbour");
	m.guard.window[3] = 5;
	m.guard.window[12] = 1;
	controller_tick(&m.contest, true, &counts);
	ok(m.contest.age == 1, "blkio target: a single slow I/O decides nothing");
}

int main(void)
{
	test_without();
	test_holds();
	test_frees();
	test_floor();
	test_percentile();
	return done_testing();
}
