// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/lib/buf.h"
#include "agent/gpufn/ctl_verbs.h"
#include "agent/gpufn/client.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"

/* "a=1" "b=2" -> "a=1&b=2"; what a number or a name does not have is refused. */
static int join(char *const *values, size_t n, struct buf *ret)
{
	for (size_t i = 0; i < n; i++) {
		const char *equals = strchr(values[i], '=');

		if (!equals || equals == values[i] ||
		    values[i][strspn(values[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=.-")])
			return log_error(-EINVAL, "'%s' is not NAME=VALUE", values[i]);
		buf_printf(ret, "%s%s", i ? "&" : "", values[i]);
	}
	return ret->failed ? log_error(-ENOMEM, "no memory") : 0;
}

/* All of standard input; none if that is a terminal. */
static int read_inputs(struct buf *ret)
{
	char text[65536];
	ssize_t n;

	while (!isatty(STDIN_FILENO) && (n = read(STDIN_FILENO, text, sizeof(text))) != 0) {
		if (n < 0)
			return log_error(-errno, "cannot read the inputs: %m");
		buf_add(ret, text, (size_t)n);
	}
	return ret->failed ? log_error(-ENOMEM, "no memory for the inputs") : 0;
}

static int write_outputs(const struct gpufn_outputs *o)
{
	for (size_t done = 0; done < o->size;) {
		ssize_t n = write(STDOUT_FILENO, (const char *)o->at + done, o->size - done);

		if (n < 0)
			return log_error(-errno, "cannot write the outputs: %m");
		done += (size_t)n;
	}
	return 0;
}

int gpufn_call(const char *run_dir, const char *function, char *const *values, size_t n)
{
	struct buf query = {}, inputs = {};
	struct gpufn_outputs outputs = {};
	struct gpufn_client *c;
	char socket[PATH_MAX];
	int err;

	snprintf(socket, sizeof(socket), "%s/gpufn.sock", run_dir);
	c = gpufn_client_new(getenv("NESTOR_GPUFN_SOCKET") ? NULL : socket);
	err = c ? join(values, n, &query)
		: log_error(-ENOSYS, "libcurl.so.4 cannot be opened, by which functions are called, or there is no memory");
	err = err ?: read_inputs(&inputs);
	if (!err) {
		err = gpufn_client_call(c, function, query.text ?: "", inputs.text, inputs.len, &outputs);
		if (err)
			log_error(err, "%s", gpufn_client_error(c));
	}
	if (!err && isatty(STDERR_FILENO))
		log_info("%.6f s, %.6f s of %u devices, %u slices%s", outputs.seconds, outputs.device_seconds, outputs.devices,
			 outputs.slices, outputs.late ? ", late" : "");
	err = err ?: write_outputs(&outputs);
	free(outputs.at);
	buf_free(&inputs);
	buf_free(&query);
	gpufn_client_free(c);
	return err;
}
