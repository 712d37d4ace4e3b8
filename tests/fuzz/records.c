// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 1024
 * The records of container runtimes, on any bytes: reading ends, stays in its bounds, and a name is UTF-8.
 */
#include "agent/who/runtime_records.h"
#include "tests/fuzz/fuzz.h"

static void check_name(const char *name)
{
	MUST(strlen(name) < OWNER_NAME_MAX && is_utf8(name) && !has_control(name));
}

static void check_clean(const char *text, size_t len)
{
	struct input in = { (const uint8_t *)text, len };
	_free_ char *copy = take_rest(&in);
	char name[OWNER_NAME_MAX];

	runtime_record_clean(copy, name);
	check_name(name);
	MUST(!*copy || *name || has_control(copy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char name[OWNER_NAME_MAX];

	if (runtime_record_parse_docker(text, size, name))
		check_name(name);
	if (runtime_record_parse_bundle(text, size, name))
		check_name(name);
	if (runtime_record_parse_podman(text, size, "0123456789abcdef", name))
		check_name(name);
	runtime_record_parse_runc(text, size, "/a/b", 4);
	runtime_record_parse_crun(text, size, "/a/b", 4);
	check_clean(text, size);
	return 0;
}
