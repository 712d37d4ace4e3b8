// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gpufn/ctl_verbs.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "gpu/sched/simulate.h"

#define OVERHEAD 0.0002 /* s, unless the trace says */
#define FIXED 0.01 /* s, slices of the rules that have fixed ones, unless the trace says */
#define BOUND_TASKS 2000 /* for more of them it takes too long */

struct input {
	const char *name;
	unsigned int line;
	struct trace trace;
	size_t size;
	struct simulate_device device;
	double fixed;
};

/* ---- reading a trace ---- */

static int wrong(const struct input *in, const char *what)
{
	return log_error(-EINVAL, "%s:%u: %s", in->name, in->line, what);
}

/* Exactly @n numbers, of which none is negative. */
static bool numbers(const char *text, double *ret, size_t n)
{
	char *end;

	for (size_t i = 0; i < n; i++) {
		ret[i] = strtod(text, &end);
		if (end == text || !isfinite(ret[i]) || ret[i] < 0)
			return false;
		text = end;
	}
	return text[strspn(text, " \t\r\n")] == '\0';
}

static int add_task(struct input *in, const double *n)
{
	struct trace *t = &in->trace;

	if (n[1] <= 0)
		return wrong(in, "a task has some work: a number of seconds above 0");
	if (n[2] < n[0])
		return wrong(in, "the deadline is before the arrival");
	if (t->n && n[0] < t->tasks[t->n - 1].arrival)
		return wrong(in, "tasks come in the order of their arrivals");
	if (t->n == in->size) {
		size_t size = in->size ? in->size * 2 : 1024;
		struct sched_task *all = reallocarray(t->tasks, size, sizeof(*all));

		if (!all)
			return log_error(-ENOMEM, "no memory");
		t->tasks = all;
		in->size = size;
	}
	t->tasks[t->n++] = (struct sched_task){ .arrival = n[0], .work = n[1], .deadline = n[2] };
	return 0;
}

static int take_line(struct input *in, const char *line)
{
	char word[16] = "";
	double n[4];
	int len = 0;

	if (sscanf(line, "%15s%n", word, &len) < 1 || *word == '#')
		return 0;
	line += len;
	if (!strcmp(word, "task"))
		return numbers(line, n, 3) ? add_task(in, n) : wrong(in, "task wants ARRIVAL WORK DEADLINE, in seconds");
	if (!strcmp(word, "overhead"))
		return numbers(line, &in->device.overhead, 1) ? 0 : wrong(in, "overhead wants seconds");
	if (!strcmp(word, "slice"))
		return numbers(line, &in->fixed, 1) && in->fixed > 0 ? 0 : wrong(in, "slice wants seconds, more than 0");
	if (strcmp(word, "capacity") != 0)
		return wrong(in, "neither task, overhead, slice nor capacity");
	if (!numbers(line, n, 4) || fmin(n[1], fmin(n[2], n[3])) < 0.01 || fmax(n[1], fmax(n[2], n[3])) > 1)
		return wrong(in, "capacity wants a period in seconds, and three parts, 0.01 to 1");
	in->device.period = n[0];
	memcpy(in->device.capacity, n + 1, sizeof(in->device.capacity));
	return 0;
}

static int read_trace(struct input *in)
{
	_fclose_ FILE *f = !strcmp(in->name, "-") ? fdopen(dup(STDIN_FILENO), "r") : fopen(in->name, "re");
	char line[256];
	int err = 0;

	if (!f)
		return log_error(-errno, "%s: %m", in->name);
	while (!err && fgets(line, sizeof(line), f)) {
		in->line++;
		err = strchr(line, '\n') || feof(f) ? take_line(in, line) : wrong(in, "the line is too long");
	}
	if (!err && ferror(f))
		return log_error(-EIO, "%s: cannot be read", in->name);
	return err ?: in->trace.n ? 0 : log_error(-EINVAL, "%s: has no task", in->name);
}

/* ---- running it ---- */

static double part(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static json_t *run_rule(const struct input *in, enum sched_rule rule)
{
	uint64_t began = now_ns();
	struct simulate_result r;

	if (simulate_run(&in->trace, &in->device, rule, in->fixed, &r))
		return NULL;
	return json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:I, s:f}", "rule", sched_rule_names[rule], "in_time",
			 (json_int_t)r.in_time, "late", (json_int_t)r.late, "dropped", (json_int_t)r.dropped, "goodput",
			 part((double)r.in_time, (double)in->trace.n), "wasted", part(r.wasted, r.busy), "slices",
			 (json_int_t)r.slices, "seconds", (double)(now_ns() - began) / 1e9);
}

static json_t *run_all(const struct input *in)
{
	json_t *rules = json_array();
	bool few = in->trace.n <= BOUND_TASKS;
	double bound = few ? simulate_bound(&in->trace, &in->device) : -1;
	double known = few ? simulate_clairvoyant(&in->trace, &in->device) : -1;

	for (int r = 0; r < SCHED_RULES; r++)
		json_array_append_new(rules, run_rule(in, (enum sched_rule)r));
	if (json_array_size(rules) != SCHED_RULES) {
		json_decref(rules);
		log_error(-ENOMEM, "no memory");
		return NULL;
	}
	return json_pack("{s:I, s:o, s:o, s:o}", "tasks", (json_int_t)in->trace.n, "most_in_time",
			 bound < 0 ? json_null() : json_real(bound), "clairvoyant_in_time",
			 known < 0 ? json_null() : json_real(known), "rules", rules);
}

json_t *gpufn_simulate(const char *path)
{
	struct input in = { .name = path, .device = { .overhead = OVERHEAD }, .fixed = FIXED };
	json_t *result = read_trace(&in) ? NULL : run_all(&in);

	simulate_trace_free(&in.trace);
	return result;
}

/* ---- making one ---- */

int gpufn_generate(char *const args[4])
{
	double n[3];
	struct trace t;
	int kind = 0;

	while (kind < TRACE_KINDS && strcmp(args[0], simulate_trace_kind_names[kind]) != 0)
		kind++;
	if (kind == TRACE_KINDS)
		return log_error(-EINVAL, "'%s' is none of: poisson, bursty, functions", args[0]);
	if (!numbers(args[1], &n[0], 1) || n[0] < 1 || n[0] > 1e8 || n[0] != floor(n[0]))
		return log_error(-EINVAL, "'%s' is no number of tasks, 1 to 100000000", args[1]);
	if (!numbers(args[2], &n[1], 1) || n[1] <= 0 || n[1] > 1000)
		return log_error(-EINVAL, "'%s' is no load, above 0 to 1000", args[2]);
	if (!numbers(args[3], &n[2], 1) || n[2] > 1e15 || n[2] != floor(n[2]))
		return log_error(-EINVAL, "'%s' is no seed, a whole number", args[3]);
	if (simulate_trace_generate((enum trace_kind)kind, (size_t)n[0], n[1], (uint64_t)n[2], &t))
		return log_error(-ENOMEM, "no memory for %s tasks", args[1]);
	printf("# %s, load %s, seed %s: arrival, work and deadline in seconds\n", args[0], args[2], args[3]);
	for (size_t i = 0; i < t.n; i++)
		printf("task %.9f %.9f %.9f\n", t.tasks[i].arrival, t.tasks[i].work, t.tasks[i].deadline);
	simulate_trace_free(&t);
	return 0;
}
