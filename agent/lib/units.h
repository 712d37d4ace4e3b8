/* SPDX-License-Identifier: GPL-2.0 */
/* Values with a unit: "50MiB", "10Gbit", "5ms"; and ports: "49152-49215". */
#ifndef NESTOR_UNITS_H
#define NESTOR_UNITS_H

#include <cyaml/cyaml.h>
#include <linux/types.h>

/* A kind of value: its units and how many base units each has, ended by a NULL. "" stands for no unit. */
extern const cyaml_strval_t units_sizes[]; /* bytes */
extern const cyaml_strval_t units_rates[]; /* bits per second */
extern const cyaml_strval_t units_durations[]; /* nanoseconds; the unit is needed */
extern const cyaml_strval_t units_plain[]; /* no unit */

/*
 * @text, decimal digits without sign, fraction or leading zeros and then a unit of @units, in base units. 0;
 * -EINVAL if it is no such value; -ERANGE if it is more than 64 bits hold. *@ret_value is written on success only.
 */
int units_parse(const char *text, const cyaml_strval_t *units, __u64 *ret_value);

/* One port, then *@ret_last is 0, or FIRST-LAST. 0, or -EINVAL if @text is neither or a port is not 1 to 65535. */
int units_parse_ports(const char *text, __u32 *ret_first, __u32 *ret_last);

#endif
