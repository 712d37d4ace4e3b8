/* SPDX-License-Identifier: GPL-2.0 */
/* Keeps the broker's library what its directory holds. */
#ifndef NESTOR_GPUFN_WATCH_H
#define NESTOR_GPUFN_WATCH_H

struct broker;

/* Reads the library, and from now on whenever it changes. 0 or -errno, logged. */
int watch_library(struct broker *b);
/* Once a second: another directory may have taken the name, or the place of one above, which no event tells. */
void watch_directory(struct broker *b);

#endif
