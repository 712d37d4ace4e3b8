// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/core/agent.h"
#include "agent/core/control.h"
#include "agent/lib/log.h"
#include "agent/core/reload.h"
#include "agent/lib/ipc.h"
#include "agent/core/documents.h"
#include "agent/lib/util.h"

#define CLIENTS_MAX 64

struct client {
	struct source source;
	struct control *ctl;
	TAILQ_ENTRY(client) entry;
};

struct control {
	struct agent *agent;
	struct reload *reload;
	struct source listener;
	struct sockaddr_un addr;
	TAILQ_HEAD(, client) clients;
	unsigned int nr_clients;
};

/* ---- commands ---- */

static int do_show(struct agent *a, const struct doc_request *request, struct buf *out)
{
	int err = documents_make(a, request, out);

	if (err == -ENETDOWN)
		buf_printf(out, "%s is down: %s", a->rooms[request->room].room->name, a->rooms[request->room].reason);
	return err;
}

/* Its number, or -ENOENT. */
static int find_room(const struct agent *a, const char *name, struct buf *out)
{
	for (unsigned int i = 0; i < a->nr_rooms; i++)
		if (!strcmp(a->rooms[i].room->name, name))
			return (int)i;
	buf_printf(out, "there is no room %s", name);
	return -ENOENT;
}

static int do_show_room(struct agent *a, const char *name, struct buf *out)
{
	int room = find_room(a, name, out);

	return room < 0 ? room : do_show(a, &(struct doc_request){ .document = DOC_ROOM, .room = (unsigned int)room }, out);
}

/* @file -1: the room's own program again. */
static int do_load(const struct agent *a, const char *name, int file, struct buf *out)
{
	int room = find_room(a, name, out);

	if (room < 0)
		return room;
	if (!a->rooms[room].room->load) {
		buf_printf(out, "%s takes no program but its own", name);
		return -EOPNOTSUPP;
	}
	if (!a->rooms[room].up) {
		buf_printf(out, "%s is down: %s", name, a->rooms[room].reason);
		return -ENETDOWN;
	}
	return a->rooms[room].room->load(a->rooms[room].self, file, out);
}

static int do_reload(const struct agent *a, struct reload *reload, struct buf *out)
{
	const struct reloads *status = &a->reloads;

	reload_now(reload);
	if (status->last_ok) {
		buf_str(out, "{\"reloaded\": true}\n");
		return 0;
	}
	buf_str(out, status->error.text);
	return -EINVAL;
}

static int do_reset(struct agent *a, struct buf *out)
{
	unsigned int removed;
	int err = agent_reset(a, &removed);

	if (err)
		buf_printf(out, "cannot remove all counters: %s", strerror(-err));
	else
		buf_printf(out, "{\"maps_removed\": %u}\n", removed);
	return err;
}

static int dispatch(struct agent *a, struct reload *reload, const char *command, const char *arg, int file, struct buf *out)
{
	static const struct {
		const char *command;
		enum document document;
	} documents[] = {
		{ "metrics", DOC_METRICS }, { "rooms", DOC_ROOMS },	      { "status", DOC_STATUS },
		{ "policy", DOC_POLICY },   { "containers", DOC_CONTAINERS }, { "vms", DOC_VMS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(documents); i++)
		if (!strcmp(command, documents[i].command))
			return do_show(a, &(struct doc_request){ .document = documents[i].document }, out);
	if (!strcmp(command, "show"))
		return do_show_room(a, arg, out);
	if (!strcmp(command, "reload"))
		return do_reload(a, reload, out);
	if (!strcmp(command, "reset"))
		return do_reset(a, out);
	if (!strcmp(command, "load") && file >= 0)
		return do_load(a, arg, file, out);
	if (!strcmp(command, "unload"))
		return do_load(a, arg, -1, out);
	buf_printf(out, "unknown command %s", command);
	return -EINVAL;
}

int control_answer(struct agent *a, struct reload *reload, char *packet, size_t len, int file, struct buf *out)
{
	/* Two NULs behind the packet: a first word and a second, maybe empty, are always there. */
	packet[len] = packet[len + 1] = '\0';
	return dispatch(a, reload, packet, packet + strlen(packet) + 1, file, out);
}

/* ---- connections ---- */

static void drop_client(struct client *client)
{
	struct control *c = client->ctl;

	TAILQ_REMOVE(&c->clients, client, entry);
	c->nr_clients--;
	loop_remove(&c->agent->env.loop, &client->source);
	free(client);
}

static void on_command(struct source *s)
{
	struct client *client = s->data;
	char packet[CONTROL_REQUEST_MAX + 2] = "";
	_close_ int file = -1;
	struct buf out = {};
	size_t file_len;
	ssize_t len;
	int status;

	len = ipc_recv_request(s->fd, packet, CONTROL_REQUEST_MAX, &file);
	if (len > 0) {
		status = file >= 0 ? ipc_check_memfd(file, &file_len) : 0;
		if (status)
			buf_str(&out, "the file that came with the command is not a sealed memfd");
		else
			status = control_answer(client->ctl->agent, client->ctl->reload, packet, (size_t)len, file, &out);
		status = ipc_send_reply(s->fd, status, out.text ? out.text : "", out.len);
		if (status)
			log_debug("control: cannot answer: %s", strerror(-status));
		buf_free(&out);
	}
	drop_client(client);
}

static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && (!peer.uid || peer.uid == geteuid());
}

static void on_connect(struct source *s)
{
	struct control *c = s->data;
	struct client *client;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	client = is_trusted(fd) ? calloc(1, sizeof(*client)) : NULL;
	if (!client) {
		close(fd);
		return;
	}
	if (c->nr_clients == CLIENTS_MAX) /* somebody connects and says nothing */
		drop_client(TAILQ_FIRST(&c->clients));
	client->ctl = c;
	client->source = (struct source){ .fd = fd, .ready = on_command, .data = client };
	TAILQ_INSERT_TAIL(&c->clients, client, entry);
	c->nr_clients++;
	if (loop_add(&c->agent->env.loop, &client->source))
		drop_client(client);
}

/* The run directory is locked, so a socket that lies there is a dead agent's. */
static int listen_at(struct sockaddr_un *addr, int *ret_fd)
{
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int err;

	if (fd < 0)
		return -errno;
	unlink(addr->sun_path);
	mask = umask(0177);
	err = bind(fd, (struct sockaddr *)addr, sizeof(*addr)) ? -errno : 0;
	umask(mask);
	if (!err && listen(fd, 16))
		err = -errno;
	if (err)
		return err;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int control_start(struct agent *a, struct reload *reload, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return log_error(-ENOMEM, "out of memory");
	TAILQ_INIT(&c->clients);
	c->agent = a;
	c->reload = reload;
	c->listener = (struct source){ .fd = -1, .ready = on_connect, .data = c };
	*ret = c; /* control_stop() frees it, also after an error */
	c->addr.sun_family = AF_UNIX;
	if ((size_t)snprintf(c->addr.sun_path, sizeof(c->addr.sun_path), "%s/%s", a->opts.run_dir, CONTROL_SOCKET) >=
	    sizeof(c->addr.sun_path))
		return log_error(-ENAMETOOLONG, "--run-dir %s is too long for a socket's path", a->opts.run_dir);
	err = listen_at(&c->addr, &c->listener.fd);
	if (err)
		return log_error(err, "cannot listen at %s: %s", c->addr.sun_path, strerror(-err));
	return loop_add(&a->env.loop, &c->listener);
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	while (!TAILQ_EMPTY(&c->clients))
		drop_client(TAILQ_FIRST(&c->clients));
	if (c->listener.fd >= 0) {
		unlink(c->addr.sun_path);
		loop_remove(&c->agent->env.loop, &c->listener);
	}
	free(c);
}
