// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/defaults.h"
#include "agent/ctl/ask.h"
#include "agent/ctl/top_rows.h"
#include "agent/lib/log.h"
#include "agent/lib/ipc.h"
#include "agent/lib/util.h"

static int connect_agent(const char *run_dir, int timeout_ms, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)))
		return -errno;
	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", run_dir, CONTROL_SOCKET) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static char *read_text(int fd, size_t len)
{
	char *text = malloc(len + 1);
	size_t done = 0;
	ssize_t n = 1;

	while (text && done < len && (n = read(fd, text + done, len - done)) > 0)
		done += (size_t)n;
	if (text)
		text[done] = '\0';
	return text;
}

int ctl_ask(const struct ctl_agent *agent, const char *command, const char *arg, int file, int *ret_status, char **ret_text)
{
	_close_ int sock = -1, fd = -1;
	char words[CONTROL_REQUEST_MAX];
	size_t len;
	int n, err;

	n = snprintf(words, sizeof(words), "%s%c%s", command, '\0', arg);
	if ((size_t)n >= sizeof(words))
		return -E2BIG;
	err = connect_agent(agent->run_dir, agent->timeout_ms, &sock);
	if (err)
		return err;
	err = ipc_send_request(sock, words, (size_t)n + 1, file);
	if (err)
		return err;
	err = ipc_recv_reply(sock, agent->timeout_ms, ret_status, &fd, &len);
	if (err)
		return err;
	*ret_text = read_text(fd, len);
	return *ret_text ? 0 : -ENOMEM;
}

int ctl_no_agent(const struct ctl_agent *agent, int err)
{
	if (err == -EACCES || err == -EPERM)
		return log_error(EXIT_FAILURE, "not allowed to ask the agent at %s; try sudo", agent->run_dir);
	if (err == -E2BIG)
		return log_error(EXIT_USAGE, "this command is too long; see nestorctl --help");
	return log_error(EXIT_NO_DAEMON, "no agent answers at %s: %s", agent->run_dir, strerror(-err));
}

int ctl_ask_metrics(const struct ctl_agent *agent, struct top *t)
{
	char *text = NULL;
	int status, err;

	err = ctl_ask(agent, "metrics", "", -1, &status, &text);
	if (!err && !status)
		return top_read(t, text, now_ns());
	free(text);
	return err ? err : -EREMOTEIO;
}
