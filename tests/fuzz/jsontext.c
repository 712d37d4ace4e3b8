// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 256
 * Any text in a JSON document: what is written reads back. UTF-8 stays; of other text all that is ASCII stays in its place.
 */
#include <jansson.h>

#include "agent/lib/json_text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	_free_ char *text = take_rest(&in), *written = NULL;
	json_t *json = json_text(text), *read;
	bool stays = is_utf8(text);
	const char *back;

	MUST(json);
	written = json_dumps(json, JSON_ENCODE_ANY);
	MUST(written && is_utf8(written));
	read = json_loads(written, JSON_DECODE_ANY, NULL);
	back = json_string_value(read);
	MUST(back && strlen(back) == strlen(text));
	for (size_t i = 0; text[i]; i++)
		MUST(back[i] == (stays || !(text[i] & 0x80) ? text[i] : '?'));
	json_decref(read);
	json_decref(json);
	return 0;
}
