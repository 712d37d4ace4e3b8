// SPDX-License-Identifier: GPL-2.0
/* The looker may have been fooled, or taken over, by what it reads: what of its answers is believed. */
#include <string.h>

#include "agent/lib/utf8.h"
#include "agent/who/look.h"

/* Does it end within its @size, and is it UTF-8 without control characters? */
static bool is_clean(const char *text, size_t size)
{
	size_t len;

	if (!memchr(text, '\0', size))
		return false;
	for (; *text; text += len) {
		len = utf8_len(text);
		if (!len || utf8_is_control(text))
			return false;
	}
	return true;
}

static bool is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool is_process(const struct look_request *request, const struct vm_process *one)
{
	return one->pid > 0 && one->pid < 1 << 22 && (request->type == LOOK_SCAN || one->pid == request->pid) &&
	       is_text(one->vmm, sizeof(one->vmm)) && vm_vmm_named(one->vmm) && is_text(one->path, sizeof(one->path));
}

static bool is_vm(const struct look_request *request, const struct vm_look *vm)
{
	return is_clean(vm->name, sizeof(vm->name)) && !vm->name[0] == !!request->again &&
	       is_text(vm->path, sizeof(vm->path)) && !vm->taps[VM_TAPS_MAX];
}

/* May a record of root's name the container @path, or one that it is in? */
static bool is_recordable(const char *path, const struct cgroup_user *user)
{
	struct container_name plain;

	container_name(NULL, path, user, &plain);
	return !strcmp(plain.runtime, "path") && !plain.final && !container_name_user(path, user);
}

/*
 * The cgroup is the one that was asked for, or one that it is in. A user's is called after the user, in any case; but the one
 * that it is in may be root's.
 */
static bool is_name(const struct look_request *request, struct container_name *name)
{
	struct container_name plain;
	size_t len;
	__u8 final;

	if (!is_clean(name->name, sizeof(name->name)) || !name->name[0] || !is_clean(name->runtime, sizeof(name->runtime)) ||
	    !is_clean(name->short_id, sizeof(name->short_id)) || !is_text(name->path, sizeof(name->path)))
		return false;
	len = strlen(name->path);
	if (strncmp(name->path, request->path, len) || (request->path[len] && request->path[len] != '/' && len > 1))
		return false;
	memcpy(&final, &name->final, sizeof(final));
	name->final = final == 1;
	container_name(NULL, request->path, &request->user, &plain);
	len = strcspn(plain.name, "/");
	return strncmp(plain.name, "user@", 5) || !strncmp(plain.name, name->name, len + 1) ||
	       is_recordable(name->path, &request->user);
}

bool look_is_valid(const struct look_request *request, struct look_reply *reply)
{
	if (reply->number != request->number)
		return false;
	switch (reply->part) {
	case LOOK_END:
		return reply->error <= 0;
	case LOOK_PART_PROCESS:
		return request->type <= LOOK_PROCESS && is_process(request, &reply->process);
	case LOOK_PART_HELPER:
		return request->type == LOOK_SCAN && reply->helper.tid > 0 && reply->helper.pid > 0;
	case LOOK_PART_VM:
		return request->type == LOOK_VM && is_vm(request, &reply->vm);
	case LOOK_PART_NAME:
		return request->type == LOOK_NAME && is_name(request, &reply->name);
	default:
		return false;
	}
}
