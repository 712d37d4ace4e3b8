/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the room blkio: what its files share. */
#ifndef NESTOR_BLKIO_BLKIO_H
#define NESTOR_BLKIO_BLKIO_H

#include "agent/base/env.h"
#include "agent/who/counters.h"
#include "agent/who/who.h"
#include "bpf/blkio.h"

struct blkio {
	struct env *env;
	struct blkio_bpf *bpf;
	struct counters total; /* blkio_total and blkio_gone */
	struct blkio_limits *limits;
	struct blkio_targets *targets;
	struct who_watch watch; /* no data: not yet */
};

#endif
