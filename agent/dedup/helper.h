/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that does one round of the room dedup and ends: it may be killed at any moment, and what it reads of others never
 * gets into the agent. Standard input is a file with the job, an object:
 *	"owners"	list of {"name": …} with "pid", or "path", the directory of a cgroup
 *	"except"	an object whose keys are numbers of processes and directories of cgroups: those in a cgroup of an owner,
 *or below it, that are not his "percent"	of a processor that it may take, 1 to 100
 *	"merge"		whether pages are merged, or it is only told which could be
 *	"leave_huge"	whether huge pages are left whole
 * Standard output gets what dedup_round_json() tells, with "merge" added if there was one; or {"error": …}.
 */
#ifndef NESTOR_DEDUP_HELPER_H
#define NESTOR_DEDUP_HELPER_H

#define DEDUP_NAME "nestord-dedup"
/* argv: name, run directory. SIGTERM ends it at once, once the settings of KSM are put back. Returns an exit status. */
int dedup_main(char **argv);

#endif
