// SPDX-License-Identifier: GPL-2.0
/* Which sockets carry a migration: policy net.migration, made ready for BPF, which looks at a socket's first packet. */
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include <bpf/bpf.h>

#include "agent/lib/log.h"
#include "agent/net/net.h"
#include "agent/lib/util.h"
#include "build/bpf/net/net.skel.h"

/* ---- a glob as an automaton, see struct net_rule ---- */

/* Length of what stands for one character at the beginning of @glob: a set in brackets, an escaped one, any other. */
static size_t token_len(const char *glob)
{
	const char *end;

	if (glob[0] == '\\' && glob[1])
		return 2;
	if (glob[0] != '[')
		return 1;
	end = glob + 1 + (glob[1] == '!' || glob[1] == '^');
	end = strchr(*end == ']' ? end + 1 : end, ']'); /* a bracket that comes first stands for itself */
	return end ? (size_t)(end - glob) + 1 : 1;
}

static void add_token(struct net_glob *to, const char *glob, size_t len, __u64 state)
{
	_free_ char *token = strndup(glob, len);

	for (unsigned int c = 1; token && c < ARRAY_SIZE(to->next); c++)
		if (!fnmatch(token, (const char[]){ (char)c, '\0' }, 0))
			to->next[c] |= state;
}

static int compile(struct net_glob *to, const char *glob)
{
	unsigned int characters = 0;

	for (const char *at = glob; *at; at += token_len(at)) {
		if (*at == '*') {
			to->stay |= 1ULL << characters;
			continue;
		}
		if (characters == NET_GLOB_MAX)
			return log_error(-E2BIG, "net: the pattern %s stands for more than %d characters", glob, NET_GLOB_MAX);
		add_token(to, at, token_len(at), 1ULL << characters++);
	}
	to->accept = 1ULL << characters;
	return 0;
}

/* ---- rules ---- */

static int make_rule(struct net_rule *rule, const struct net_migration *m)
{
	int err = 0;

	*rule = (struct net_rule){ .kind = m->kind, .port = m->port, .port_last = m->port_last, .mark = m->mark };
	if (!m->port_last)
		rule->port_last = m->port;
	rule->given = (m->process ? NET_RULE_PROCESS : 0U) | (m->container ? NET_RULE_CONTAINER : 0U) |
		      (m->port ? NET_RULE_PORT : 0U) | (m->mark ? NET_RULE_MARK : 0U);
	if (m->process)
		err = compile(&rule->process, m->process);
	if (!err && m->container)
		err = compile(&rule->container, m->container);
	return err;
}

static int set_rule(const struct net *n, __u32 i, const struct net_policy *p)
{
	struct net_rule rule = {};
	int err = 0;

	if (i < p->migration_count)
		err = make_rule(&rule, &p->migration[i]);
	if (err)
		return err;
	err = bpf_map_update_elem(bpf_map__fd(n->bpf->maps.net_rules), &i, &rule, BPF_ANY);
	return err ? log_error(err, "net: cannot set the rules of migration: %s", strerror(-err)) : 0;
}

int net_rules_apply(struct net *n, const struct net_policy *p)
{
	int err = 0;

	_Static_assert(MIGRATION_KINDS == NET_KINDS, "BPF counts all kinds");
	if (p->migration_count > NET_RULES_MAX)
		return log_error(-E2BIG, "net: at most %d rules tell what a migration is", NET_RULES_MAX);
	for (__u32 i = 0; !err && i < NET_RULES_MAX; i++)
		err = set_rule(n, i, p);
	n->bpf->bss->generation++; /* sockets whose kind was found before are looked at again */
	return err;
}
