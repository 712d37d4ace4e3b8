/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_GPUFN_ENCLOSE_H
#define NESTOR_GPUFN_ENCLOSE_H

/* Processes and threads that an executor may have, besides two for each processor. */
#define GPUFN_PROCESSES_MAX 256
/* What it may have in files, and how many. */
#define GPUFN_FILES_SIZE "256m"
#define GPUFN_FILES_NR "16384"

/*
 * For a process without privileges: gives it namespaces of its own, of users with itself alone, processes, mounts, networks and
 * IPC. It cannot name a process outside, and when it ends, whatever it started is killed. @writable is an empty file system in
 * memory then, and goes with it.
 *
 * Returns in a child, the first process of the namespaces: 0, or -errno, logged; it must exit then. The caller itself never
 * gets back: it ends as the child ends, and the child is killed with it. @argv is the caller's, which gets another name in ps.
 */
int gpufn_enclose(const char *writable, char **argv);

#endif
