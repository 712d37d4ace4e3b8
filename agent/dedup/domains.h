/* SPDX-License-Identifier: GPL-2.0 */
/* Trust domains, and what rounds have told of them. */
#ifndef NESTOR_DEDUP_DOMAINS_H
#define NESTOR_DEDUP_DOMAINS_H

#include <sys/queue.h>

#include <jansson.h>

struct history;
struct metrics;
struct dedup_policy;

enum dedup_round_result {
	DEDUP_ROUND_DONE,
	DEDUP_ROUND_REFUSED, /* looked, but nothing was merged */
	DEDUP_ROUND_FAILED,
	DEDUP_ROUND_PRESSED, /* put off: others need the processors */
	DEDUP_ROUND_RESULTS
};

enum dedup_stage { DEDUP_LOOK, DEDUP_READ, DEDUP_HASH, DEDUP_GROUP, DEDUP_INJECT, DEDUP_KSMD, DEDUP_STAGES };

struct dedup_domain {
	char *name;
	json_t *owners; /* of the round that is under way */
	json_t *of; /* the owners of the last one, in the order that it has them in */
	json_t *last; /* what that has told; NULL: there was none yet */
	json_t *stuck; /* processes that rounds have waited for in vain: their number, and when they began */
	char *failure; /* why the last round failed; NULL: it did not */
	unsigned long long rounds[DEDUP_ROUND_RESULTS];
	double seconds[DEDUP_STAGES];
	double device; /* seconds */
	double stopped, longest_stop; /* seconds */
	unsigned long long hinted; /* pages, of all rounds */
	TAILQ_ENTRY(dedup_domain) entry;
};
TAILQ_HEAD(dedup_domains, dedup_domain);

/* Has just the domains that @p names, in that order, and what was known of them. 0 or -ENOMEM. */
int dedup_domains_keep(struct dedup_domains *all, const struct dedup_policy *p);
struct dedup_domain *dedup_domains_find(const struct dedup_domains *all, const char *name); /* NULL: there is none */
void dedup_domains_free(struct dedup_domains *all);

/* What a helper has said. */
void dedup_take(struct dedup_domain *d, const char *text, size_t len);
/* The round has failed, as @why says. */
void dedup_fail(struct dedup_domain *d, const char *why);

void dedup_domains_collect(const struct dedup_domains *all, struct metrics *m);
void dedup_domains_sample(const struct dedup_domains *all, struct history *h);
json_t *dedup_domains_show(const struct dedup_domains *all); /* a new reference */

#endif
