// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "agent/who/workload_list.h"

static void forget(struct workload_list *all, const struct workload *one)
{
	struct workload_entry *m;

	LIST_FOREACH (m, &all->list, entry)
		if (m->one == one)
			break;
	if (!m)
		return;
	LIST_REMOVE(m, entry);
	free(m);
}

static void on_gone(void *data, const struct workload *one)
{
	struct workload_list *all = data;

	forget(all, one);
	if (all->changed)
		all->changed(all->data);
}

static void on_born(void *data, const struct workload *one)
{
	struct workload_list *all = data;
	struct workload_entry *m = calloc(1, sizeof(*m));

	forget(all, one); /* told before, and changed */
	if (!m)
		return;
	m->one = one;
	LIST_INSERT_HEAD(&all->list, m, entry);
	if (all->changed)
		all->changed(all->data);
}

void workload_list_open(struct workload_list *m, struct who *who, void (*changed)(void *data), void *data)
{
	*m = (struct workload_list){ .who = who, .changed = changed, .data = data };
	m->watch = (struct who_watch){ .born = on_born, .gone = on_gone, .data = m };
	who_watch(who, &m->watch);
}

void workload_list_close(struct workload_list *m)
{
	if (m->who)
		who_unwatch(m->who, &m->watch);
	while (!LIST_EMPTY(&m->list))
		forget(m, LIST_FIRST(&m->list)->one);
}
