// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>

#include "agent/core/agent.h"
#include "agent/base/history.h"
#include "agent/lib/log.h"
#include "agent/core/history_sampler.h"
#include "agent/lib/util.h"

#define EVERY_NS (HISTORY_SECONDS * 1000000000ULL)

struct history_sampler {
	struct agent *agent;
	struct source timer;
};

static void on_timer(struct source *timer)
{
	struct history_sampler *s = timer->data;
	struct agent *a = s->agent;

	loop_timer_drain(timer->fd);
	who_update(a->env.who);
	history_begin(a->history, real_ms(), now_ns());
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		if (a->rooms[i].up && a->rooms[i].room->sample)
			a->rooms[i].room->sample(a->rooms[i].self, a->history);
	history_end(a->history);
}

/* Of the quantities that rooms have declared, also those that are down. NULL: no memory. */
static struct history *new_history(const struct agent *a)
{
	const struct history_quantity **lists = calloc(a->nr_rooms, sizeof(struct history_quantity *));
	struct history *h = NULL;

	for (unsigned int i = 0; lists && i < a->nr_rooms; i++)
		lists[i] = a->rooms[i].room->quantities;
	if (lists)
		h = history_new(lists, a->nr_rooms);
	free(lists);
	return h;
}

/* The first sample is taken at once: it is what the second is compared with. */
int history_sampler_start(struct agent *a, struct history_sampler **ret)
{
	struct history_sampler *s = calloc(1, sizeof(*s));

	if (!s)
		return log_error(-ENOMEM, "out of memory");
	*ret = s; /* history_sampler_stop() frees it, also after an error */
	s->agent = a;
	a->history = new_history(a);
	s->timer = (struct source){ .fd = loop_timer_open(1, EVERY_NS), .ready = on_timer, .data = s };
	if (!a->history)
		return log_error(-ENOMEM, "out of memory");
	if (s->timer.fd < 0)
		return log_error(s->timer.fd, "cannot make a timer");
	return loop_add(&a->env.loop, &s->timer);
}

void history_sampler_stop(struct history_sampler *s)
{
	if (!s)
		return;
	if (s->timer.fd >= 0)
		loop_remove(&s->agent->env.loop, &s->timer);
	history_free(s->agent->history);
	s->agent->history = NULL;
	free(s);
}
