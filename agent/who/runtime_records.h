/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What container runtimes keep on disk about their containers, as far as it tells a name. The files are found by a
 * container's id: no folder is searched. They are bounded, and parsed as if a stranger had written them; a user's own
 * container can indeed have a record that this user made up.
 *
 * Runtimes whose storage was moved in their configuration, not by a link, are not found: a container of theirs is
 * called by its id.
 */
#ifndef NESTOR_RUNTIME_RECORDS_H
#define NESTOR_RUNTIME_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "bpf/owner.h"

/* Whose records. */
struct records {
	const char *root; /* "" or a directory that stands for /; NULL: there are none */
	unsigned int uid; /* 0: those of the system; else those in this user's home */
};

/*
 * Each: was there a record of @id? The name that it tells goes to @ret_name, cleaned by runtime_record_clean(). Ids are one
 * component of a path.
 */
bool runtime_record_docker(const struct records *r, const char *id, char *ret_name);
bool runtime_record_podman(const struct records *r, const char *id, char *ret_name);
bool runtime_record_crio(const struct records *r, const char *id, char *ret_name);
/* @space: containerd's name space. @ret_name remains "" where the record has no name: some containers have just an id. */
bool runtime_record_containerd(const struct records *r, const char *space, const char *id, char *ret_name);

/* Is there a container @id whose cgroup is the first @len bytes of @path? Its id is all the name it has. */
bool runtime_record_runc(const struct records *r, const char *id, const char *path, size_t len);
bool runtime_record_crun(const struct records *r, const char *id, const char *path, size_t len);

/* @text as a name of OWNER_NAME_MAX: valid UTF-8 without control characters, cut between two characters. */
void runtime_record_clean(const char *text, char *ret_name);

/* ---- the parsers, for tests ---- */

bool runtime_record_parse_docker(const char *text, size_t len, char *ret_name);
bool runtime_record_parse_podman(const char *text, size_t len, const char *id, char *ret_name);
bool runtime_record_parse_bundle(const char *text, size_t len, char *ret_name); /* an OCI bundle's config.json */
bool runtime_record_parse_runc(const char *text, size_t len, const char *path, size_t path_len);
bool runtime_record_parse_crun(const char *text, size_t len, const char *path, size_t path_len);

#endif
