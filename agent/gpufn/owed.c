// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "agent/gpufn/owed.h"
#include "agent/lib/utf8.h"

#define ERRNO_MAX 4095 /* as the kernel has it */

int owed_add(struct owed *o, __u32 op, __u32 call, double now)
{
	unsigned int at = (o->first + o->nr) % GPUFN_OWED_MAX;

	if (o->nr == GPUFN_OWED_MAX)
		return -EAGAIN;
	o->orders[at].op = op;
	o->orders[at].call = call;
	o->orders[at].sent = now;
	o->nr++;
	return 0;
}

/* It goes to the log and to the caller. */
static void clean(char *text)
{
	while (*text) {
		size_t len = utf8_is_control(text) ? 0 : utf8_len(text);

		if (!len)
			*text = '?';
		text += len ?: 1;
	}
}

const char *owed_check(struct owed *o, struct gpufn_report *r, ssize_t len, double now)
{
	double passed;

	if (len != sizeof(*r))
		return "a report has the wrong size";
	if (!o->nr)
		return "a report was not asked for";
	if (r->op != o->orders[o->first].op || r->call != o->orders[o->first].call)
		return "a report is about another order";
	if (r->err > 0 || r->err < -ERRNO_MAX)
		return "a report has an unknown error";
	if (!memchr(r->text, '\0', sizeof(r->text)))
		return "a report's text has no end";
	clean(r->text);
	passed = (now - o->orders[o->first].sent) * 1e9;
	if ((double)r->ns > passed)
		r->ns = passed > 0 ? (__u64)passed : 0;
	o->first = (o->first + 1) % GPUFN_OWED_MAX;
	o->nr--;
	return NULL;
}
