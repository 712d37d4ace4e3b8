// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "agent/who/workload_list.h"

static void forget(struct members *all, const struct who_one *one)
{
	struct member *m;

	LIST_FOREACH (m, &all->list, entry)
		if (m->one == one)
			break;
	if (!m)
		return;
	LIST_REMOVE(m, entry);
	free(m);
}

static void on_gone(void *data, const struct who_one *one)
{
	struct members *all = data;

	forget(all, one);
	if (all->changed)
		all->changed(all->data);
}

static void on_born(void *data, const struct who_one *one)
{
	struct members *all = data;
	struct member *m = calloc(1, sizeof(*m));

	forget(all, one); /* told before, and changed */
	if (!m)
		return;
	m->one = one;
	LIST_INSERT_HEAD(&all->list, m, entry);
	if (all->changed)
		all->changed(all->data);
}

void members_open(struct members *m, struct who *who, void (*changed)(void *data), void *data)
{
	*m = (struct members){ .who = who, .changed = changed, .data = data };
	m->watch = (struct who_watch){ .born = on_born, .gone = on_gone, .data = m };
	who_watch(who, &m->watch);
}

void members_close(struct members *m)
{
	if (m->who)
		who_unwatch(m->who, &m->watch);
	while (!LIST_EMPTY(&m->list))
		forget(m, LIST_FIRST(&m->list)->one);
}
