/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that does one round of the room dedup and ends: it may be killed at any moment, and what it reads of others never
 * gets into the agent. Standard input is a file with the job, an object:
 *	"owners"	list of {"name": …} with "pid", or "path", the directory of a cgroup
 *	"except"	an object whose keys are numbers of processes and directories of cgroups: those in a cgroup of an owner,
 *or below it, that are not his "percent"	of a processor that it may take, 1 to 100
 *	"merge"		whether pages are merged, or it is only told which could be
 *	"leave_huge"	whether huge pages are left whole
 *	"stuck"		processes that are not read, as the result below has them; may be left out
 * Standard output gets what dedup_round_json() tells, with "merge" added if there was one; or {"error": …}, with "stuck" if it
 *is a process that lets us wait: an object of its number and dedup_round_start_of().
 *
 * Without "owners" the settings of KSM are put back, and that is all.
 */
#ifndef NESTOR_DEDUP_HELPER_H
#define NESTOR_DEDUP_HELPER_H

#define DEDUP_NAME "nestord-dedup"
/* A round has to end in this time, at @percent of a processor: half an hour of one. To read a TiB takes seven minutes of that.
 */
#define DEDUP_ROUND_NS(percent) (1800ULL * 1000000000 * 100 / (percent))

/* argv: name, run directory. SIGTERM ends it at once, once the settings of KSM are put back. Returns an exit status. */
int dedup_main(char **argv);

#endif
