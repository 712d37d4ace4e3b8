// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/lib/yaml_load.h"

/* What libcyaml says of an error: the complaint, and the innermost place. */
struct complaint {
	char *text;
	struct yaml_place place;
};

static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct complaint *c = ctx;
	char line[256];
	const char *at;

	(void)level;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	at = strstr(line, "(line: ");
	if (at && !c->place.line)
		sscanf(at, "(line: %zu, column: %zu)", &c->place.line, &c->place.column);
	else if (!*c->text)
		snprintf(c->text, 256, "%s", line + (strncmp(line, "Load: ", 6) ? 0 : 6));
}

int yaml_data(const char *text, size_t len, const cyaml_schema_value_t *schema, void **ret, struct yaml_place *ret_place,
	      char why[256])
{
	struct complaint complaint = { .text = why };
	const cyaml_config_t config = {
		.log_fn = on_log,
		.log_ctx = &complaint,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	cyaml_err_t err;

	*why = '\0';
	err = cyaml_load_data((const uint8_t *)text, len, &config, schema, ret, NULL);
	*ret_place = complaint.place;
	if (err != CYAML_OK && !*why)
		snprintf(why, 256, "%s", cyaml_strerror(err));
	return err == CYAML_OK ? 0 : -EINVAL;
}

void yaml_data_free(const cyaml_schema_value_t *schema, void *data)
{
	const cyaml_config_t config = { .mem_fn = cyaml_mem };

	cyaml_free(&config, schema, data, 0);
}
