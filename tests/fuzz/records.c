// SPDX-License-Identifier: GPL-2.0
/* The records of container runtimes, on any bytes: reading ends, stays in its bounds, and a name is UTF-8. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
	json_t *json = json_string(name); /* refuses what is no UTF-8 */

	if (!json || strlen(name) >= OWNER_NAME_MAX)
		abort();
	for (const char *c = name; *c; c++)
		if (!(*c & 0xe0) || *c == 0x7f)
			abort();
	json_decref(json);
}

static void check_clean(const char *text, size_t len)
{
	char name[OWNER_NAME_MAX], *copy = strndup(text, len);

	if (!copy)
		return;
	record_clean(copy, name);
	check_name(name);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char name[OWNER_NAME_MAX];

	if (record_parse_docker(text, size, name))
		check_name(name);
	if (record_parse_bundle(text, size, name))
		check_name(name);
	if (record_parse_podman(text, size, "0123456789abcdef", name))
		check_name(name);
	record_parse_runc(text, size, "/a/b", 4);
	record_parse_crun(text, size, "/a/b", 4);
	check_clean(text, size);
	return 0;
}
