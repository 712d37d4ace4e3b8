/* SPDX-License-Identifier: GPL-2.0 */
/* Tenants of the broker: whose calls they are, what they may have, and what they had. */
#ifndef NESTOR_GPUFN_TENANT_H
#define NESTOR_GPUFN_TENANT_H

#include <stdbool.h>
#include <sys/queue.h>

#include <jansson.h>
#include <linux/types.h>

#define GPUFN_TENANTS_MAX 256
#define GPUFN_TENANT_MAX 256 /* bytes of a name, with the NUL; what is longer is cut */

struct broker;

struct tenant_counts {
	__u64 calls, done, late, dropped, failed, cancelled; /* calls, and how they ended; late ones are not among done */
	__u64 refused_early, refused_queue, refused_memory; /* no time, too many calls, too much memory */
	__u64 refused_ceiling; /* too much memory with what others have */
	__u64 slices;
	double compile_seconds, device_seconds, wasted_seconds; /* the last of the device, for calls that were not in time */
};

struct tenant {
	LIST_ENTRY(tenant) entry;
	char name[GPUFN_TENANT_MAX];
	bool named; /* by policy; else it may not call any more */
	double weight;
	unsigned int priority; /* the highest that its calls may have */
	__u64 memory; /* bytes that its calls may have at a time, of the device and in files */
	__u32 queue; /* calls at a time */
	__u64 memory_used; /* also what is being uploaded */
	__u32 nr_calls, nr_peers; /* that have not ended; connections */
	struct tenant_counts counts;
};

/*
 * @policy, a new reference, has limits and says who is which tenant: {"paths": {…}, "users": {…}, "memory_v1": …}. Looks users
 * up when they change, which may take long where they come from a directory service.
 */
void tenant_take_policy(struct broker *b, json_t *policy);
/*
 * Whose the process is that made a connection: by its cgroup, else, if it is in no container, by its user. NULL: policy names
 * neither, or the process has ended.
 */
struct tenant *tenant_of(struct broker *b, int connection);
/* Both count what calls have for their tenant and for all together. */
void tenant_take_memory(struct broker *b, struct tenant *t, __u64 bytes);
void tenant_give_memory(struct broker *b, struct tenant *t, __u64 bytes);

#endif
