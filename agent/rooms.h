/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rooms, in the order in which they are shown. This is the only file that names them: rooms.c expands the list to
 * what runs in nestord, sections.c to sections of the policy, nouns.c to nouns of nestorctl.
 */
#ifndef NESTOR_ROOMS_H
#define NESTOR_ROOMS_H

#define ROOMS(X) X(blkio) X(cache) X(dedup) X(gpufn) X(net) X(pcache)

/* Handed down by nestord.c alone. */
struct room;
extern const struct room *const rooms[];
extern const unsigned int rooms_nr;

#endif
