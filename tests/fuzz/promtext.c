// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 512
 * The parser of the exposition, on any bytes: it ends, and its samples are pieces of the text. Written again as
 * agent/base/metrics.c would, a sample reads as it was.
 */
#include "agent/lib/buf.h"
#include "agent/lib/prom_parse.h"
#include "tests/fuzz/fuzz.h"

static void write_again(const struct prom_sample *s, struct buf *out)
{
	buf_clear(out);
	buf_str(out, s->name);
	for (size_t i = 0; i < s->nr_labels; i++) {
		buf_str(out, i ? "," : "{");
		buf_str(out, s->labels[i].name);
		buf_str(out, "=\"");
		for (const char *c = s->labels[i].value; *c; c++) {
			if (strchr("\\\"\n", *c))
				buf_str(out, "\\");
			buf_add(out, *c == '\n' ? "n" : c, 1);
		}
		buf_str(out, "\"");
	}
	buf_str(out, s->nr_labels ? "} " : " ");
	buf_str(out, s->value);
}

static void check_same(const struct prom_sample *s, const struct buf *text)
{
	char *pos = text->text;
	struct prom_sample again;

	MUST(prom_next(&pos, &again) && !strcmp(again.name, s->name) && !strcmp(again.value, s->value));
	MUST(again.nr_labels == s->nr_labels);
	for (size_t i = 0; i < s->nr_labels; i++)
		MUST(!strcmp(again.labels[i].name, s->labels[i].name) && !strcmp(again.labels[i].value, s->labels[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	_free_ char *text = take_rest(&in);
	char *pos = text, *end;
	static struct buf again;
	struct prom_sample s;

	while (prom_next(&pos, &s)) {
		MUST(s.name >= text && s.name < text + size && *s.name && s.value > s.name && s.value < text + size);
		MUST(s.nr_labels <= PROM_LABELS_MAX);
		strtod(s.value, &end);
		MUST(end > s.value && !*end);
		if (s.nr_labels)
			MUST(!strcmp(prom_label(&s, s.labels[0].name), s.labels[0].value));
		write_again(&s, &again);
		check_same(&s, &again);
	}
	return 0;
}
