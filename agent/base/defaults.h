/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NESTOR_DEFAULTS_H
#define NESTOR_DEFAULTS_H

#define DEFAULT_POLICY "/etc/nestor/policy.d"
#define DEFAULT_RUN_DIR "/run/nestor"
#define DEFAULT_BPFFS "/sys/fs/bpf/nestor"

/* In the run directory: agent/core/control.c listens, agent/ctl/ask.c connects. */
#define CONTROL_SOCKET "control.sock"
#define CONTROL_REQUEST_MAX 256

#endif
