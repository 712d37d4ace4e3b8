/* SPDX-License-Identifier: GPL-2.0 */
/* `nestorctl gpufn simulate|generate|check|profile`: what works without an agent. */
#ifndef NESTOR_GPUFN_CTL_VERBS_H
#define NESTOR_GPUFN_CTL_VERBS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/*
 * The trace in @path ("-": standard input), by each rule, the simplest first; of few tasks the bound, too, that nobody can
 * exceed. nestorctl(1) has the format. NULL: it cannot be read, or has an error; logged, with its line.
 */
json_t *gpufn_simulate(const char *path);

/* @args: kind, number of tasks, load, seed. Prints a trace. 0 or -errno, logged. */
int gpufn_generate(char *const args[4]);

/*
 * Compiles each function of directory @dir for each device, each in a process that is thrown away, and has it do its checks. An
 * object for each; *@ret_good: none failed. Says on stderr what is wrong.
 * One that takes longer than @seconds on one device is taken for one that does not end. NULL: @dir cannot be read, logged.
 */
json_t *gpufn_check(const char *dir, unsigned int seconds, bool *ret_good);
/* The same for how long each takes on each device, which the agent takes as it is: see agent/gpufn/profiles.h. */
json_t *gpufn_profile(const char *dir, unsigned int seconds, bool *ret_good);

/*
 * Calls @function by the socket of the agent of @run_dir, or $NESTOR_GPUFN_SOCKET: values are "NAME=VALUE" each, inputs are
 * standard input, outputs go to standard output. 0 or -errno, logged; -ECONNREFUSED: nobody answers.
 */
int gpufn_call(const char *run_dir, const char *function, char *const *values, size_t n);

#endif
