// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 1024
 * What a GPU function's executor sends to the broker, on any bytes: only the report that is owed next is believed, its time
 * and its text are bounded, and nothing else changes.
 */
#include "agent/gpufn/owed.h"
#include "tests/fuzz/fuzz.h"

static void check_believed(const struct owed *before, const struct owed *after, const struct gpufn_report *r, double now)
{
	MUST(before->nr && after->nr == before->nr - 1);
	MUST(r->op == before->orders[before->first].op && r->call == before->orders[before->first].call);
	MUST(r->err <= 0 && r->err >= -4095);
	MUST((double)r->ns <= (now - before->orders[before->first].sent) * 1e9);
	MUST(memchr(r->text, '\0', sizeof(r->text)) && is_utf8(r->text) && !has_control(r->text));
}

/* The first byte: how many orders are sent; then what is received, a report each, the last one cut. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct owed owed, before;
	struct input in = { data, size };
	unsigned int orders = take_byte(&in) % 8;
	double now = 100;

	owed = (struct owed){ .first = GPUFN_OWED_MAX - 2 };
	for (unsigned int i = 0; i < orders; i++)
		MUST(!owed_add(&owed, i % (GPUFN_CLOSE + 1), i / 2, now++));
	while (in.len) {
		struct gpufn_report r;
		size_t len = in.len < sizeof(r) ? in.len : sizeof(r);

		memcpy(&r, in.data, len);
		before = owed;
		if (!owed_check(&owed, &r, (ssize_t)len, ++now))
			check_believed(&before, &owed, &r, now);
		else
			MUST(owed.first == before.first && owed.nr == before.nr);
		in.data += len;
		in.len -= len;
	}
	return 0;
}
