// SPDX-License-Identifier: GPL-2.0
/*
 * max_len: 256
 * The control protocol: what a packet of a client makes the agent do. The agent itself is not here; what it is asked for
 * is counted.
 */
#include <errno.h>

#include "agent/core/agent.h"
#include "agent/core/control.h"
#include "agent/core/reload.h"
#include "agent/core/documents.h"
#include "tests/fuzz/fuzz.h"

static const struct room one = { .name = "one" }, two = { .name = "two" };
static struct agent agent = { .nr_rooms = 2 };
static unsigned int shown, reloaded, reset;
static struct doc_request asked;

int documents_make(struct agent *a, const struct doc_request *request, struct buf *out)
{
	MUST(request->document < DOCUMENTS && request->room < a->nr_rooms);
	asked = *request;
	shown++;
	if (request->document == DOC_ROOM && !a->rooms[request->room].up)
		return -ENETDOWN;
	buf_str(out, "{}\n");
	return 0;
}

void reload_now(struct reload *r)
{
	(void)r;
	reloaded++;
}

int agent_reset(struct agent *a, unsigned int *ret_removed)
{
	(void)a;
	*ret_removed = 7;
	reset++;
	return 0;
}

/* Is @word the first word of the packet? */
static bool says(const uint8_t *data, size_t size, const char *word)
{
	size_t len = strlen(word);

	return size >= len && !memcmp(data, word, len) && (size == len || !data[len]);
}

static void check_document(const uint8_t *data, size_t size)
{
	static const char *const commands[DOCUMENTS] = {
		[DOC_METRICS] = "metrics", [DOC_ROOMS] = "rooms",	    [DOC_STATUS] = "status", [DOC_POLICY] = "policy",
		[DOC_VMS] = "vms",	   [DOC_CONTAINERS] = "containers", [DOC_ROOM] = "show",
	};

	MUST(says(data, size, commands[asked.document]));
	if (asked.document == DOC_ROOM)
		MUST(size > 5 && says(data + 5, size - 5, agent.rooms[asked.room].room->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct room_state states[] = { { .room = &one, .up = true }, { .room = &two, .reason = "off" } };
	char *packet = malloc(size + 2);
	static struct buf out;
	int status;

	if (!size || size > CONTROL_REQUEST_MAX) {
		free(packet);
		return 0;
	}
	agent.rooms = states;
	agent.reloads.last_ok = data[size - 1] != '!';
	strcpy(agent.reloads.error.text, agent.reloads.last_ok ? "" : "p.yaml:1:1: bad");
	shown = reloaded = reset = 0;
	buf_clear(&out);
	MUST(packet);
	memcpy(packet, data, size);
	status = control_answer(&agent, NULL, packet, size, -1, &out);
	MUST(status <= 0 && out.len && !out.failed && strlen(out.text) == out.len);
	MUST(shown + reloaded + reset == (says(data, size, "reload") || says(data, size, "reset") || shown));
	MUST(reloaded == says(data, size, "reload") && reset == says(data, size, "reset"));
	if (shown)
		check_document(data, size);
	else
		MUST(status || reloaded || reset);
	if (reloaded)
		MUST(!status == agent.reloads.last_ok);
	free(packet);
	return 0;
}
