// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/gpufn/confine.h"
#include "agent/gpufn/enclose.h"
#include "agent/gpufn/executor_main.h"
#include "agent/gpufn/wire.h"
#include "agent/lib/child.h"
#include "agent/lib/log.h"
#include "agent/lib/ipc.h"
#include "agent/lib/util.h"
#include "gpu/fn/job.h"

#define LAUNCHES 20 /* of a kernel that has next to nothing to do: the fastest tells what a launch costs */

/* A function that was compiled; until the end, for calls point to it. */
struct compiled {
	LIST_ENTRY(compiled) entry;
	struct function *f;
	struct fn_program program;
};

struct call {
	LIST_ENTRY(call) entry;
	uint32_t nr;
	struct fn_call call;
	struct fn_job job;
	uint8_t *data; /* the memfd, mapped */
	uint64_t size;
};

struct executor {
	struct gpu *gpu;
	struct gpu_info info;
	int functions; /* directory */
	double speed; /* below 1: made slower, for tests */
	LIST_HEAD(, compiled) compiled;
	LIST_HEAD(, call) calls;
	char why[GPUFN_TEXT_MAX]; /* of what failed last */
};

static int fail(struct executor *e, int err)
{
	snprintf(e->why, sizeof(e->why), "%s", gpu_error(e->gpu));
	return err;
}

/* ---- functions ---- */

static int compile(struct executor *e, struct compiled *c)
{
	char why[FN_WHY_MAX];
	int err = fn_program_open(e->gpu, &e->info, c->f, &c->program, why);

	if (err)
		snprintf(e->why, sizeof(e->why), "%s %s", c->f->name, why);
	return err;
}

static struct compiled *find(struct executor *e, const struct gpufn_order *o)
{
	struct compiled *c;

	LIST_FOREACH (c, &e->compiled, entry)
		if (c->f->hash == o->hash && !strcmp(c->f->name, o->function))
			break;
	return c;
}

/* What is read here must be what the broker has read: sizes follow from it. */
static int load(struct executor *e, const struct gpufn_order *o, struct function **ret)
{
	char why[256];
	int err = function_load(e->functions, o->function, ret, why);

	if (err)
		snprintf(e->why, sizeof(e->why), "%s", why);
	else if ((*ret)->hash != o->hash)
		snprintf(e->why, sizeof(e->why), "%s has changed meanwhile; try again", o->function);
	return err ?: (*ret)->hash == o->hash ? 0 : -ESTALE;
}

static int compile_for(struct executor *e, const struct gpufn_order *o, uint64_t *ret_ns)
{
	struct compiled *c = find(e, o) ? NULL : calloc(1, sizeof(*c));
	uint64_t began = now_ns();
	int err;

	if (!c)
		return find(e, o) ? 0 : -ENOMEM;
	err = load(e, o, &c->f);
	err = err ?: compile(e, c);
	if (!err && (err = fn_program_try(e->gpu, c->f, &c->program)))
		fail(e, err);
	*ret_ns = now_ns() - began;
	if (err) {
		function_free(c->f);
		free(c);
		return err;
	}
	LIST_INSERT_HEAD(&e->compiled, c, entry);
	return 0;
}

/* ---- calls ---- */

static struct call *call_of(struct executor *e, uint32_t nr)
{
	struct call *c;

	LIST_FOREACH (c, &e->calls, entry)
		if (c->nr == nr)
			return c;
	snprintf(e->why, sizeof(e->why), "no such call");
	return NULL;
}

static void forget(struct call *c)
{
	if (c->job.gpu)
		fn_job_close(&c->job);
	if (c->data)
		munmap(c->data, c->size);
	free(c);
}

static int map_data(struct executor *e, struct call *c, int fd)
{
	void *at;

	c->size = gpufn_outputs_at(c->call.input_bytes) + c->call.output_bytes;
	at = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		snprintf(e->why, sizeof(e->why), "no memory for its data");
		return -errno;
	}
	c->data = at;
	return 0;
}

static int open_call(struct executor *e, const struct gpufn_order *o, int fd, uint64_t *ret_ns)
{
	struct call *c = calloc(1, sizeof(*c));
	const struct compiled *compiled = find(e, o);
	int err;

	if (!c)
		return -ENOMEM;
	if (!compiled)
		snprintf(e->why, sizeof(e->why), "%s is not compiled", o->function);
	err = compiled ? 0 : -ENOENT;
	err = err ?: fn_call_parse(compiled->f, o->values, &c->call, e->why);
	err = err ?: map_data(e, c, fd);
	if (err) {
		forget(c);
		return err;
	}
	c->nr = o->call;
	err = fn_job_open(e->gpu, &c->call, &compiled->program, &c->job);
	*ret_ns = now_ns();
	err = err ?: fn_job_write(&c->job, c->data);
	*ret_ns = now_ns() - *ret_ns;
	if (err) {
		fail(e, err);
		forget(c);
		return err;
	}
	LIST_INSERT_HEAD(&e->calls, c, entry);
	return 0;
}

/* NESTOR_GPUFN_SPEEDS has numbers for devices, in their order. */
static double speed_of(const char *text, unsigned int nr)
{
	double speed = 1;
	char *end;

	for (unsigned int i = 0; text && i <= nr; i++, text = end) {
		speed = strtod(text, &end);
		if (end == text)
			return 1;
	}
	return speed > 0.001 && speed < 1 ? speed : 1;
}

static uint64_t processor_ns(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* By the processor's time that it used, @used: a device of its own would not mind what else the machine does. */
static void slow_down(const struct executor *e, uint64_t used, uint64_t *ns)
{
	uint64_t takes = (uint64_t)((double)used / e->speed), more = takes > *ns ? takes - *ns : 0;
	struct timespec rest = { .tv_sec = (time_t)(more / 1000000000), .tv_nsec = (long)(more % 1000000000) };

	if (e->speed == 1 || !more)
		return;
	nanosleep(&rest, NULL);
	*ns += more;
}

static int run_slice(struct executor *e, const struct gpufn_order *o, uint64_t *ret_ns)
{
	struct call *c = call_of(e, o->call);
	struct gpu_event done = { 0 };
	uint64_t began = processor_ns();
	int err;

	if (!c || o->kernel >= c->call.f->kernels_count)
		return -EINVAL;
	err = fn_job_launch(&c->job, o->kernel, (uint32_t)o->first, (uint32_t)o->groups, &done);
	err = err ?: gpu_wait(e->gpu, &done, ret_ns);
	if (err)
		return fail(e, err);
	slow_down(e, processor_ns() - began, ret_ns);
	return 0;
}

static int read_call(struct executor *e, const struct gpufn_order *o)
{
	struct call *c = call_of(e, o->call);
	uint8_t *to = c ? c->data + gpufn_outputs_at(c->call.input_bytes) : NULL;
	int err = c ? 0 : -EINVAL;

	if (!err)
		err = o->groups ? fn_job_read_part(&c->job, o->first, o->groups, to) : fn_job_read(&c->job, to);
	return err && c ? fail(e, err) : err;
}

static int close_call(struct executor *e, const struct gpufn_order *o)
{
	struct call *c = call_of(e, o->call);

	if (!c)
		return -EINVAL;
	LIST_REMOVE(c, entry);
	forget(c);
	return 0;
}

/* ---- orders ---- */

static void report(struct executor *e, uint32_t op, uint32_t call, int err, uint64_t ns)
{
	struct gpufn_report r = { .op = op, .call = call, .err = err, .ns = ns };

	if (err)
		snprintf(r.text, sizeof(r.text), "%s", e->why[0] ? e->why : strerror(-err));
	if (send(GPUFN_ORDERS_FD, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
		_exit(EXIT_FAILURE);
}

static void obey(struct executor *e, const struct gpufn_order *o, int fd)
{
	uint64_t ns = 0;
	int err;

	e->why[0] = '\0';
	if (o->op == GPUFN_COMPILE)
		err = compile_for(e, o, &ns);
	else if (o->op == GPUFN_OPEN)
		err = open_call(e, o, fd, &ns);
	else if (o->op == GPUFN_RUN)
		err = run_slice(e, o, &ns);
	else if (o->op == GPUFN_READ)
		err = read_call(e, o);
	else
		err = close_call(e, o);
	report(e, o->op, o->call, err, ns);
}

static int serve(struct executor *e)
{
	struct pollfd orders = { .fd = GPUFN_ORDERS_FD, .events = POLLIN };
	struct gpufn_order o;
	ssize_t n;
	int fd;

	for (;;) {
		if (poll(&orders, 1, -1) < 0)
			continue;
		n = ipc_recv_request(GPUFN_ORDERS_FD, (char *)&o, sizeof(o), &fd);
		if (n != sizeof(o))
			return n ? EXIT_FAILURE : EXIT_SUCCESS;
		obey(e, &o, fd);
		close_p(&fd);
	}
}

/* ---- life ---- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What one group of the hash of pages takes, in the middle of some: that is next to nothing but the launch. */
static uint64_t launch_ns(struct gpu *g)
{
	const uint32_t nr = 0;
	struct gpu_mem m = { 0 };
	uint64_t ns[LAUNCHES] = { 0 };
	int err = gpu_alloc(g, 4096, &m);

	for (unsigned int i = 0; i < LAUNCHES && !err; i++) {
		const struct gpu_arg args[] = { GPU_ARG(m.handle), GPU_ARG(m.handle), GPU_ARG(m.handle), GPU_ARG(nr) };
		struct gpu_event done = { 0 };
		uint64_t began = now_ns();

		err = gpu_launch(g, 0, gpu_own(g, GPU_KERNEL_PAGE_HASH), 0, 1, args, ARRAY_SIZE(args), &done);
		err = err ?: gpu_wait(g, &done, NULL);
		ns[i] = now_ns() - began;
	}
	gpu_free(g, &m);
	qsort(ns, LAUNCHES, sizeof(ns[0]), compare);
	return err ? 0 : ns[LAUNCHES / 2];
}

static struct gpu *open_device(struct executor *e, const char *backend, unsigned int nr)
{
	struct gpu_list list;

	gpu_list(&list);
	for (size_t i = 0; i < list.n; i++)
		if (!strcmp(list.devices[i].backend, backend) && list.devices[i].nr == nr)
			e->info = list.devices[i];
	if (e->info.backend)
		return gpu_open(&e->info, e->why);
	snprintf(e->why, sizeof(e->why), "there is no such device");
	return NULL;
}

/* Before any tenant's code runs: the log is open for others, too, and has its flags and its owner in common with theirs. */
static void leave_log(void)
{
	_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDERR_FILENO);
}

int gpufn_executor_main(char **argv)
{
	struct executor e = { .calls = LIST_HEAD_INITIALIZER(e.calls) };

	log_open("nestord: gpufn executor", LOG_LEVEL_INFO);
	if (child_follow_parent(SIGKILL, GPUFN_ORDERS_FD))
		return EXIT_FAILURE;
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (gpufn_enclose(argv[4], argv))
		return EXIT_FAILURE;
	e.functions = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e.functions < 0)
		return log_error(EXIT_FAILURE, "%s: %m", argv[3]);
	if (confine(argv[3], argv[4]))
		return EXIT_FAILURE;
	e.speed = speed_of(getenv("NESTOR_GPUFN_SPEEDS"), (unsigned int)atoi(argv[2]));
	e.gpu = open_device(&e, argv[1], (unsigned int)atoi(argv[2]));
	report(&e, GPUFN_READY, 0, e.gpu ? 0 : -ENODEV, e.gpu ? launch_ns(e.gpu) : 0);
	leave_log();
	return e.gpu ? serve(&e) : EXIT_FAILURE;
}
