/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_DEFAULTS_H
#define NESTOR_DEFAULTS_H

#define DEFAULT_POLICY "/etc/nestor/policy.d"
#define DEFAULT_RUN_DIR "/run/nestor"
#define DEFAULT_BPFFS "/sys/fs/bpf/nestor"

#endif
