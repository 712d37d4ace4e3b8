// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/cache/ctl_disk.h"
#include "agent/cache/program.h"
#include "agent/ctl/answer.h"
#include "agent/lib/ipc.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

/* ---- cache top ---- */

#define COUNTER(name)                                                                                                          \
	{                                                                                                                      \
		"nestor_cache_" name "_total", NULL, NULL, NULL                                                                \
	}
#define DROPS                                                                                                                  \
	{                                                                                                                      \
		"nestor_cache_drops_total", NULL, NULL, "reason"                                                               \
	}
#define ALL_HITS                                                                                                               \
	{                                                                                                                      \
		"nestor_cache_hits_total", NULL, NULL, "store"                                                                 \
	}
#define STORE(name, store)                                                                                                     \
	{                                                                                                                      \
		"nestor_cache_" name, "store", store, NULL                                                                     \
	}
#define PAGES(name, store) .how = TOP_NOW_PAGES, .series = STORE(name, store)
#define BY_GETS(hits) .how = TOP_PART, .series = hits, .of = { COUNTER("gets") }
#define RATE(name, store) .series = STORE(name "_total", store)
/* Who has a pool has this; others have no row. */
#define IN_MEMORY PAGES("pages", "memory"), .is_default = true, .is_needed = true

static const struct top_column top[] = {
	TOP_COLUMN("memory", "MEM", "memory_bytes", TOP_BYTES, 0, IN_MEMORY),
	TOP_COLUMN("memshare", "MEMSHR", "memory_entitlement_bytes", TOP_BYTES, 1, PAGES("entitlement_pages", "memory")),
	TOP_COLUMN("ssd", "SSD", "ssd_bytes", TOP_BYTES, 4, PAGES("pages", "ssd")),
	TOP_COLUMN("ssdshare", "SSDSHR", "ssd_entitlement_bytes", TOP_BYTES, 5, PAGES("entitlement_pages", "ssd")),
	TOP_COLUMN("gets", "GET/s", "gets_per_second", TOP_COUNT, 3, .series = COUNTER("gets")),
	TOP_COLUMN("hit", "HIT%", "hit_ratio", TOP_RATIO, 2, BY_GETS(ALL_HITS)),
	TOP_COLUMN("memhit", "MEMHIT%", "memory_hit_ratio", TOP_RATIO, 10, BY_GETS(STORE("hits_total", "memory"))),
	TOP_COLUMN("ssdhit", "SSDHIT%", "ssd_hit_ratio", TOP_RATIO, 11, BY_GETS(STORE("hits_total", "ssd"))),
	TOP_COLUMN("memput", "MPUT/s", "memory_puts_per_second", TOP_COUNT, 6, RATE("puts", "memory")),
	TOP_COLUMN("ssdput", "SPUT/s", "ssd_puts_per_second", TOP_COUNT, 8, RATE("puts", "ssd")),
	TOP_COLUMN("memevict", "MEVCT/s", "memory_evictions_per_second", TOP_COUNT, 7, RATE("evictions", "memory")),
	TOP_COLUMN("ssdevict", "SEVCT/s", "ssd_evictions_per_second", TOP_COUNT, 9, RATE("evictions", "ssd")),
	TOP_COLUMN("demotions", "DEMOT/s", "demotions_per_second", TOP_COUNT, 12, .series = COUNTER("demotions")),
	TOP_COLUMN("drops", "DROP/s", "drops_per_second", TOP_COUNT, 13, .series = DROPS),
	{},
};

/* ---- verbs ---- */

static int run_attach(const struct ctl *c)
{
	return cache_attach(c->args[0]);
}

static int run_detach(const struct ctl *c)
{
	return cache_detach(c->args[0]);
}

static int run_list(const struct ctl *c)
{
	return ctl_answer_json(c, cache_list());
}

/* The file is read here: the agent may not see the user's directories, and reads no file that could have it wait. */
static int run_policy_load(const struct ctl *c)
{
	_free_ char *text = malloc(CACHE_OBJECT_MAX + 2); /* a byte more, so that the agent sees that it is too large */
	ssize_t len = text ? util_read_file_at(AT_FDCWD, c->args[0], text, CACHE_OBJECT_MAX + 2) : -ENOMEM;
	_close_ int file = len < 0 ? (int)len : ipc_memfd(text, (size_t)len);

	if (file < 0)
		return log_error(EXIT_FAILURE, "%s: %s", c->args[0], strerror(-file));
	return ctl_answer(c, "load", c->noun->name, file);
}

static int run_policy_reset(const struct ctl *c)
{
	return ctl_answer(c, "unload", c->noun->name, -1);
}

static void offer_mapped(const struct ctl_offers *o)
{
	DIR *dir = opendir("/dev/mapper");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), suffix = strlen(CACHE_DISK_SUFFIX);

		if (len > suffix && !strcmp(entry->d_name + len - suffix, CACHE_DISK_SUFFIX))
			ctl_offer(o, entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static const struct ctl_verb verbs[] = {
	CTL_SHOW,
	{ .name = "top", .help = "who has what of the cache, and rates, as they change", .run = ctl_run_top, .columns = top },
	{ .name = "list", .help = "what is attached", .run = run_list },
	{ .name = "attach",
	  .args = "DISK",
	  .help = "make /dev/mapper/NAME-nestor, which goes through the cache",
	  .run = run_attach,
	  .offer = ctl_offer_files },
	{ .name = "detach",
	  .args = "NAME",
	  .help = "take it out again; if it is in use, it goes on without",
	  .run = run_detach,
	  .offer = offer_mapped },
	{ .name = "policy load",
	  .args = "FILE",
	  .help = "have a BPF program of your own choose stores",
	  .run = run_policy_load,
	  .offer = ctl_offer_files },
	{ .name = "policy reset", .help = "have the built-in one choose again", .run = run_policy_reset },
	{},
};

const struct ctl_noun ctl_cache = { .name = "cache", .verbs = verbs };
