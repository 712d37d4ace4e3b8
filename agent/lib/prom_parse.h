/* SPDX-License-Identifier: GPL-2.0 */
/* Reads an exposition in Prometheus' text format, as agent/base/metrics.c writes it. */
#ifndef NESTOR_PROM_PARSE_H
#define NESTOR_PROM_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#define PROM_LABELS_MAX 16

struct prom_sample {
	const char *name;
	struct {
		const char *name, *value;
	} labels[PROM_LABELS_MAX];
	size_t nr_labels;
	const char *value; /* as it was written: a double cannot hold every counter */
};

/*
 * The next sample of *@pos, which moves on; false at the end. The text is cut into pieces, and the sample points into
 * it. Comments, and lines that are no sample, are left out.
 */
bool prom_next(char **pos, struct prom_sample *ret);

/* The value of a label, "" if there is none, as Prometheus has it. */
const char *prom_label(const struct prom_sample *sample, const char *name);

#endif
