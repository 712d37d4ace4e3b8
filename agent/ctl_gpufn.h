/* SPDX-License-Identifier: GPL-2.0 */
/* `nestorctl gpufn simulate|generate`: what the scheduler of GPU functions would make of a trace. Needs no agent and no GPU. */
#ifndef NESTOR_CTL_GPUFN_H
#define NESTOR_CTL_GPUFN_H

#include <jansson.h>

/*
 * The trace in @path ("-": standard input), by each rule, the simplest first; of few tasks the bound, too, that nobody can
 * exceed. nestorctl(1) has the format. NULL: it cannot be read, or has an error; logged, with its line.
 */
json_t *gpufn_simulate(const char *path);

/* @args: kind, number of tasks, load, seed. Prints a trace. 0 or -errno, logged. */
int gpufn_generate(char *const args[4]);

#endif
