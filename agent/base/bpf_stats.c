// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/lib/log.h"
#include "agent/lib/loop.h"
#include "agent/base/bpf_stats.h"
#include "agent/lib/util.h"

#define SECOND 1000000000ULL
#define SAMPLE_ON SECOND
#define SAMPLE_OFF (59 * SECOND)

struct bpf_stats {
	struct loop *loop;
	struct source timer;
	enum bpf_stats_mode mode;
	int stats_fd; /* while it is open the kernel measures; -1: not */
};

static void measure(struct bpf_stats *s, bool on)
{
	if (on == (s->stats_fd >= 0))
		return;
	if (on) {
		s->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		if (s->stats_fd < 0)
			log_warning("cannot measure BPF programs: %m");
	} else {
		close(s->stats_fd);
		s->stats_fd = -1;
	}
}

static void on_timer(struct source *timer)
{
	struct bpf_stats *s = timer->data;
	bool on = s->stats_fd < 0;

	loop_timer_drain(timer->fd);
	measure(s, on);
	loop_timer_rearm(timer->fd, on ? SAMPLE_ON : SAMPLE_OFF, 0);
}

int bpf_stats_start(struct loop *loop, struct bpf_stats **ret)
{
	struct bpf_stats *s = calloc(1, sizeof(*s));

	if (!s)
		return log_error(-ENOMEM, "out of memory");
	s->loop = loop;
	s->stats_fd = -1;
	s->mode = BPF_STATS_OFF;
	s->timer = (struct source){ .fd = loop_timer_open(0, 0), .ready = on_timer, .data = s };
	if (s->timer.fd < 0) {
		free(s);
		return log_error(-errno, "cannot make a timer: %m");
	}
	*ret = s;
	return loop_add(loop, &s->timer);
}

void bpf_stats_apply(struct bpf_stats *s, enum bpf_stats_mode mode)
{
	if (mode == s->mode)
		return;
	s->mode = mode;
	measure(s, mode != BPF_STATS_OFF);
	loop_timer_rearm(s->timer.fd, mode == BPF_STATS_SAMPLE ? SAMPLE_ON : 0, 0);
}

void bpf_stats_stop(struct bpf_stats *s)
{
	if (!s)
		return;
	measure(s, false);
	loop_remove(s->loop, &s->timer);
	free(s);
}
