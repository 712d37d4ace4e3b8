/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs that stay attached when the agent is gone: their links are pinned, as DIR/<program>_<number>, where the
 * number says whose it is. What is pinned is the record of what has to be detached some day.
 */
#ifndef NESTOR_NET_PINNED_LINKS_H
#define NESTOR_NET_PINNED_LINKS_H

#include <stdbool.h>

#include <bpf/libbpf.h>

/* Where a program is attached. */
struct net_place {
	enum bpf_attach_type type;
	int target; /* descriptor of a cgroup, or index of an interface */
	__u64 id; /* of the cgroup, or the index again */
};

struct net_pin {
	char program[16];
	__u32 number;
	__u64 id; /* of the place; 0: it is gone */
};

/*
 * Sees to it that @prog is attached at @place and pinned. One of a former agent stays if it is the same program on the
 * same maps; another one is replaced, and both are attached meanwhile. 0 or -errno.
 */
int net_pins_attach(const char *dir, const struct bpf_program *prog, const struct net_place *place, __u32 number);

/* Detaches and unpins those that @keep does not want. */
void net_pins_sweep(const char *dir, bool (*keep)(void *data, const struct net_pin *pin), void *data);

#endif
