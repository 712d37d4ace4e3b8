/* SPDX-License-Identifier: GPL-2.0 */
/* `nestorctl dedup report`: which pages of processes, VMs and containers are the same. Needs no agent. */
#ifndef NESTOR_DEDUP_CTL_TARGETS_H
#define NESTOR_DEDUP_CTL_TARGETS_H

#include <jansson.h>

/*
 * Of @targets, each the number of a process or the path of a cgroup with all below it, in a cgroup hierarchy. Reads all twice,
 * with a second between, says on stderr how far it is, and merges nothing. NULL: refused or failed; logged.
 */
json_t *dedup_report(char *const *targets, size_t nr);

/*
 * `nestorctl dedup undo`: takes apart what KSM has merged of @targets, and has KSM leave it alone: of all their memory that is
 * mergeable, whoever told KSM of it. They get frames of their own, which takes memory. NULL: refused or failed; logged.
 */
json_t *dedup_undo(char *const *targets, size_t nr);

#endif
