// SPDX-License-Identifier: GPL-2.0
/*
 * budget: 40, lane: free
 * Policies in process: the defaults, the places that yaml_index() finds, and thousands of files made at
 * random. Built with sanitizers, so a leak or a read too far ends it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/blkio/policy.h"
#include "agent/dedup/policy.h"
#include "agent/gpufn/policy.h"
#include "agent/net/policy.h"
#include "agent/pcache/policy.h"
#include "agent/policy/agent.h"
#include "agent/sections.h"
#include "agent/lib/util.h"
#include "agent/lib/yaml_index.h"
#include "tests/harness/tap.h"

#define ROUNDS 6000
#define TEXT_MAX 4096

static char dir[] = "/tmp/nestor-test.XXXXXX";
static char path[128];

static void write_file(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644); /* O_TRUNC would have ext4 wait for the disk */

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || ftruncate(fd, (off_t)len)) {
		perror(path);
		exit(1);
	}
	close(fd);
}

/* Sections of @p, which have the same names. */
static const struct agent_policy *agent(const struct policy *p)
{
	return policy_section(p, &policy_agent);
}

static const struct blkio_policy *blkio(const struct policy *p)
{
	return policy_section(p, &policy_blkio);
}

static const struct net_policy *net(const struct policy *p)
{
	return policy_section(p, &policy_net);
}

static const struct dedup_policy *dedup(const struct policy *p)
{
	return policy_section(p, &policy_dedup);
}

static const struct gpufn_policy *gpufn(const struct policy *p)
{
	return policy_section(p, &policy_gpufn);
}

static int load(const char *text, struct policy **policy, struct policy_error *error)
{
	write_file(text, strlen(text));
	return policy_load(policy_sections, path, policy, error);
}

/* ---- values ---- */

static void test_defaults(void)
{
	struct policy_error error = {};
	struct policy *p;

	if (!ok(policy_load(policy_sections, NULL, &p, &error) == 0, "policy: the defaults load"))
		return;
	is_u64(LOG_LEVEL_INFO, agent(p)->log_level, "policy: default of agent.log_level: info");
	is_u64(100, agent(p)->max_containers, "policy: default of agent.max_containers: 100");
	is_u64(300, agent(p)->linger, "policy: default of agent.linger: 300");
	is_u64(BPF_STATS_SAMPLE, agent(p)->self_stats, "policy: default of agent.self_stats: sample");
	is_u64(MODE_MONITOR, blkio(p)->mode, "policy: default of blkio.mode: monitor");
	is_u64(MODE_MONITOR, policy_mode(p, &policy_pcache), "policy: default of pcache.mode: monitor");
	is_u64(MODE_MONITOR, net(p)->mode, "policy: default of net.mode: monitor");
	is_u64(MODE_MONITOR, dedup(p)->mode, "policy: default of dedup.mode: monitor");
	is_u64(MODE_OFF, gpufn(p)->mode, "policy: default of gpufn.mode: off");
	is_u64(SHARES_DEADLINE, gpufn(p)->share, "policy: default of gpufn.share: deadline");
	ok(agent(p)->include_count == 1 && !strcmp(agent(p)->include[0], "*"), "policy: default of agent.include: all");
	ok(!agent(p)->exclude_count && !blkio(p)->limits_count && !blkio(p)->targets_count && !net(p)->limits_count &&
		   !dedup(p)->targets_count && !gpufn(p)->tenants_count,
	   "policy: all other lists but net.migration are empty by default");
	policy_free(p);
}

/* Every key once, not at its default; and what is shown of it. */
static const char given[] =
	"agent: {log_level: debug, max_containers: 7, linger: 0, min_age: 3, include: [a, 'b*'], exclude: "
	"[\"\\u00e4\"], "
	"self_stats: off, vmm: {users: [nobody, 7], cgroups: [/lab]}}\n"
	"blkio:\n"
	"  mode: enforce\n"
	"  limits:\n"
	"  - {container: web, device: vda, read: 50MiB, write: 1kB, read_iops: 1, write_iops: 2, weight: 10000}\n"
	"  - {vm: 'g*', device: nvme0n1, read: 5000}\n"
	"  targets: [{container: db, device: vda, p99: 5ms}]\n"
	"pcache: {mode: off}\n"
	"net:\n"
	"  mode: off\n"
	"  link: 10Gbit\n"
	"  limits:\n"
	"  - {container: web, egress: 100Mbit, ingress: 8000, weight: 1}\n"
	"  - {vm: 'g*', egress: 500kbit}\n"
	"  - {migration: criu, egress: 2Gbit}\n"
	"  migration:\n"
	"  - {kind: criu, process: criu, container: c, port: 1-65535, mark: 4294967295}\n"
	"  - {kind: other, port: 4433}\n"
	"cache:\n"
	"  mode: enforce\n"
	"  memory: 1GiB\n"
	"  ssd: /dev/vdb\n"
	"  ssd_size: 2MiB\n"
	"  min_free: 0\n"
	"  pools:\n"
	"  - {container: web, memory: 60, ssd: 10000}\n"
	"  - {container: 'b*', ssd: 1}\n"
	"dedup:\n"
	"  mode: enforce\n"
	"  interval: 1s\n"
	"  cpu: 100\n"
	"  max_pressure: 0\n"
	"  device: processor\n"
	"  huge: split\n"
	"  merge: d\n"
	"  targets:\n"
	"  - {domain: d, container: web}\n"
	"  - {domain: e, vm: 'g*'}\n"
	"gpufn:\n"
	"  mode: enforce\n"
	"  functions: /f\n"
	"  cache: /c\n"
	"  socket: /s\n"
	"  share: equal\n"
	"  rule: edf-late\n"
	"  slice_limit: 10ms\n"
	"  memory: 1MiB\n"
	"  memory_all: 4MiB\n"
	"  queue: 10000\n"
	"  tenants:\n"
	"  - {container: web, name: w, weight: 2, priority: 3, memory: 2MiB, queue: 3}\n"
	"  - {user: render}\n";
static const char expected[] =
	"{\"agent\": {\"log_level\": \"debug\", \"max_containers\": 7, \"linger\": 0, \"min_age\": 3, "
	"\"include\": [\"a\", \"b*\"], \"exclude\": [\"\xc3\xa4\"], \"self_stats\": \"off\", "
	"\"vmm\": {\"users\": [\"nobody\", \"7\"], \"cgroups\": [\"/lab\"]}}, "
	"\"blkio\": {\"mode\": \"enforce\", \"limits\": ["
	"{\"container\": \"web\", \"device\": \"vda\", \"read\": 52428800, \"write\": 1000, \"read_iops\": 1, "
	"\"write_iops\": 2, \"weight\": 10000}, "
	"{\"vm\": \"g*\", \"device\": \"nvme0n1\", \"read\": 5000}], "
	"\"targets\": [{\"container\": \"db\", \"device\": \"vda\", \"p99\": 5000000}]}, "
	"\"cache\": {\"mode\": \"enforce\", \"memory\": 1073741824, \"min_free\": 0, \"ssd\": \"/dev/vdb\", "
	"\"ssd_size\": 2097152, \"pools\": [{\"container\": \"web\", \"memory\": 60, \"ssd\": 10000}, "
	"{\"container\": \"b*\", \"ssd\": 1}]}, "
	"\"dedup\": {\"mode\": \"enforce\", \"interval\": 1000000000, \"cpu\": 100, \"max_pressure\": 0, "
	"\"device\": \"processor\", \"huge\": \"split\", \"merge\": \"d\", \"targets\": [{\"domain\": \"d\", "
	"\"container\": \"web\"}, "
	"{\"domain\": \"e\", \"vm\": \"g*\"}]}, "
	"\"gpufn\": {\"mode\": \"enforce\", \"functions\": \"/f\", \"cache\": \"/c\", \"socket\": \"/s\", "
	"\"share\": \"equal\", \"rule\": \"edf-late\", \"slice_limit\": 10000000, \"memory\": 1048576, "
	"\"memory_all\": 4194304, \"queue\": 10000, \"tenants\": ["
	"{\"container\": \"web\", \"name\": \"w\", \"weight\": 2, \"priority\": 3, \"memory\": 2097152, \"queue\": 3}, "
	"{\"user\": \"render\"}]}, "
	"\"net\": {\"mode\": \"off\", \"link\": 10000000000, \"limits\": ["
	"{\"container\": \"web\", \"egress\": 100000000, \"ingress\": 8000, \"weight\": 1}, "
	"{\"vm\": \"g*\", \"egress\": 500000}, {\"migration\": \"criu\", \"egress\": 2000000000}], "
	"\"migration\": [{\"kind\": \"criu\", \"process\": \"criu\", \"container\": \"c\", "
	"\"port\": \"1-65535\", \"mark\": 4294967295}, {\"kind\": \"other\", \"port\": 4433}]}, "
	"\"pcache\": {\"mode\": \"off\"}}";

static void test_json(void)
{
	struct policy_error error = {};
	struct policy *p;
	json_t *json, *shown = json_object(), *sections = json_loads(expected, 0, NULL), *section;
	const char *name;
	char *text;

	if (!ok(load(given, &p, &error) == 0, "policy: a policy with every key loads"))
		return;
	json = policy_to_json(p);
	json_object_foreach (sections, name, section) /* those of rooms to come are told in tests of their own */
		json_object_set(shown, name, json_object_get(json, name));
	text = json_dumps(shown, 0);
	is_str(expected, text, "policy: every key has its value in JSON");
	free(text);
	json_decref(sections);
	json_decref(shown);
	json_decref(json);
	policy_free(p);
}

static void test_overlay(void)
{
	struct policy_error error = {};
	struct policy *p;

	if (!ok(load("agent:\n  linger: 5\n", &p, &error) == 0, "policy: a policy with one key loads"))
		return;
	is_u64(5, agent(p)->linger, "policy: the key of a policy with one key has its value");
	is_u64(100, agent(p)->max_containers, "policy: other keys of a section with one key keep their defaults");
	is_u64(MODE_MONITOR, blkio(p)->mode, "policy: keys of sections that a policy does not have keep their defaults");
	policy_free(p);
}

/* Lists change hands; with a leak or a second free this program does not end well. */
static void test_lists(void)
{
	struct policy_error error = {};
	struct policy *p;

	if (!ok(load("agent: {include: [], exclude: [a, b]}\n"
		     "blkio:\n  limits:\n    - vm: guest\n      device: vda\n      read: 1MiB\n"
		     "net:\n  migration:\n    - {kind: other, port: 5-6}\n  limits: [{migration: qemu, egress: 1Gbit}]\n",
		     &p, &error) == 0,
		"policy: a policy with lists loads"))
		return;
	is_u64(0, agent(p)->include_count, "policy: an empty list replaces the default list");
	ok(agent(p)->exclude_count == 2 && !strcmp(agent(p)->exclude[1], "b"), "policy: a list of globs has its entries");
	ok(blkio(p)->limits_count == 1 && !strcmp(blkio(p)->limits[0].vm, "guest") && !blkio(p)->limits[0].container &&
		   !strcmp(blkio(p)->limits[0].device, "vda"),
	   "policy: a limit has its VM and device");
	is_u64(1 << 20, blkio(p)->limits[0].read, "policy: a limit has its rate");
	is_u64(0, blkio(p)->limits[0].write, "policy: a limit has no rate that is not set");
	ok(net(p)->migration_count == 1 && net(p)->migration[0].kind == MIGRATION_OTHER && net(p)->migration[0].port == 5 &&
		   net(p)->migration[0].port_last == 6,
	   "policy: a list replaces the whole default list");
	ok(net(p)->limits_count == 1 && net(p)->limits[0].migration == 1 + MIGRATION_QEMU,
	   "policy: an optional word has its value");
	is_u64(1000000000, net(p)->limits[0].egress, "policy: a rate is in bits per second");
	policy_free(p);
}

static void test_many(void)
{
	static char text[200 * 500];
	size_t len = (size_t)snprintf(text, sizeof(text), "net:\n  limits:\n");
	struct policy_error error = {};
	struct policy *p;

	for (int i = 0; i < 500; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"    - container: web-%d\n      egress: %dMbit\n      weight: 5\n", i, i + 1);
	if (!ok(load(text, &p, &error) == 0, "policy: a policy of 500 limits loads")) {
		printf("# %s\n", error.text);
		return;
	}
	is_u64(500, net(p)->limits_count, "policy: a policy of 500 limits has all of them");
	is_str("web-499", net(p)->limits[499].container, "policy: the last of 500 limits has its container");
	is_u64(500000000, net(p)->limits[499].egress, "policy: the last of 500 limits has its rate");
	policy_free(p);
}

static void test_failure(void)
{
	char sentinel;
	struct policy *p = (struct policy *)&sentinel;
	struct policy_error error = {};
	char expected[256];

	ok(load("agent:\n  linger: 5\nblkio:\n  mode: 1\n", &p, &error) == -EINVAL, "policy: a bad policy is refused");
	ok(p == (struct policy *)&sentinel, "policy: loading a bad policy returns no policy");
	snprintf(expected, sizeof(expected), "%s:4:9: blkio.mode: '1' is none of: off, monitor, enforce", path);
	is_str(expected, error.text, "policy: the error of a bad policy has its place");
}

/* ---- yaml_index() ---- */

static void test_index(void)
{
	static const char text[] = "# comment\n"
				   "blkio:\n"
				   "  mode:   off\n"
				   "\n"
				   "agent: {linger: 5,\n"
				   "        \"log_level\": [a, b]}\n"
				   "x:\n"
				   "  y:\n"
				   "    z: \"\\x1bz\"\n";
	static const struct {
		const char *path;
		struct yaml_place key, value;
		enum yaml_kind kind;
		const char *text;
	} keys[] = {
		{ "blkio", { 2, 1 }, { 3, 3 }, YAML_KIND_KEYS, "" },
		{ "blkio.mode", { 3, 3 }, { 3, 11 }, YAML_KIND_TEXT, "off" },
		{ "agent", { 5, 1 }, { 5, 8 }, YAML_KIND_KEYS, "" },
		{ "agent.linger", { 5, 9 }, { 5, 17 }, YAML_KIND_TEXT, "5" },
		{ "agent.log_level", { 6, 9 }, { 6, 22 }, YAML_KIND_LIST, "" },
		{ "agent.log_level[0]", { 6, 23 }, { 6, 23 }, YAML_KIND_TEXT, "a" },
		{ "agent.log_level[1]", { 6, 26 }, { 6, 26 }, YAML_KIND_TEXT, "b" },
		{ "x", { 7, 1 }, { 8, 3 }, YAML_KIND_KEYS, "" },
		{ "x.y", { 8, 3 }, { 9, 5 }, YAML_KIND_KEYS, "" },
		{ "x.y.z", { 9, 5 }, { 9, 8 }, YAML_KIND_TEXT, "?z" },
	};
	_free_ struct yaml_index *index = malloc(sizeof(*index));
	struct yaml_place place;
	char why[128];

	if (!index ||
	    !ok(!yaml_index(text, sizeof(text) - 1, index, &place, why, sizeof(why)), "yaml_index: a good text is indexed"))
		return;
	is_u64(ARRAY_SIZE(keys), index->nr, "yaml_index: all keys are found");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct yaml_key *k = yaml_find(index, keys[i].path);

		if (!ok(k != NULL, "yaml_index: %s is found", keys[i].path))
			continue;
		ok(k->key.line == keys[i].key.line && k->key.column == keys[i].key.column, "yaml_index: %s is at %zu:%zu",
		   k->path, k->key.line, k->key.column);
		ok(k->value.line == keys[i].value.line && k->value.column == keys[i].value.column,
		   "yaml_index: the value of %s is at %zu:%zu", k->path, k->value.line, k->value.column);
		ok(k->kind == keys[i].kind, "yaml_index: %s has its kind", k->path);
		is_str(keys[i].text, k->text, named("yaml_index: %s has its text", k->path));
	}
	ok(!yaml_find(index, "blkio.linger") && !yaml_find(index, "") && !yaml_find(index, "agen"),
	   "yaml_index: missing keys are not found");
}

static void test_index_errors(void)
{
	static const struct {
		const char *text;
		struct yaml_place place;
		const char *why;
	} bad[] = {
		{ "a: 1\na: 2\n", { 2, 1 }, "a is set twice, first at line 1" },
		{ "a: {b: 1, c: 2, b: 3}\n", { 1, 17 }, "a.b is set twice, first at line 1" },
		{ "a: &x 1\n", { 1, 4 }, "anchors and tags are not allowed" },
		{ "a: *x\n", { 1, 4 }, "aliases are not allowed" },
		{ "a: !x 1\n", { 1, 4 }, "anchors and tags are not allowed" },
		{ "a: 1\n--- {}\n", { 2, 1 }, "a second document in one file is not allowed" },
		{ "[a]\n", { 1, 1 }, "it starts with a key and a colon, such as blkio:" },
		{ "a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n", { 1, 32 }, "nested deeper than 8 levels" },
		{ "[a]: 1\n", { 1, 1 }, "a key must be a plain word" },
		{ "\n\n  [a]: 1\n", { 3, 3 }, "a key must be a plain word" },
		{ "a:\n  b c: 1\n", { 2, 3 }, "a key must be a plain word" },
		{ "a:\n\tb: 1\n", { 2, 1 }, "a tab cannot indent; use spaces" },
		{ "# \xc3\xa4\xc3\xb6\nx: \xc3\xa4 \xff", { 2, 6 }, "invalid leading UTF-8 octet" },
	};
	_free_ struct yaml_index *index = malloc(sizeof(*index));
	struct yaml_place place;
	char why[128];

	for (size_t i = 0; index && i < ARRAY_SIZE(bad); i++) {
		int err = yaml_index(bad[i].text, strlen(bad[i].text), index, &place, why, sizeof(why));

		ok(err == -EINVAL, "yaml_index: refuses bad text %zu: %s", i, bad[i].why);
		is_str(bad[i].why, why, named("yaml_index: says why it refuses bad text %zu", i));
		ok(place.line == bad[i].place.line && place.column == bad[i].place.column,
		   "yaml_index: says where bad text %zu is wrong: %zu:%zu is %zu:%zu", i, bad[i].place.line,
		   bad[i].place.column, place.line, place.column);
	}
}

/* ---- at random ---- */

static unsigned long long seed = 0x6e6573746f72;

/* The same files in every run (xorshift64). */
static unsigned int pick(unsigned int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)(seed % n);
}

static const char *const words[] = {
	"agent",     "blkio",	   "mode",   "off",	  "monitor", "linger", "max_containers",
	"log_level", "self_stats", "sample", "on",	  "info",    ":",      ": ",
	":\n ",	     "\n",	   "\n  ",   "{",	  "}",	     "[",      "]",
	", ",	     "- ",	   "? ",     "5",	  "-1",	     "1e9",    "99999",
	"0",	     "\"",	   "'",	     "&a ",	  "*a",	     "!!str ", "<<",
	"|\n",	     ">\n",	   "---\n",  "...\n",	  "\t",	     "#",      "\\",
	"\xff",	     "\xc3\xa4",   "%YAML",  "~",	  "",	     " ",      "\r\n",
	"\x01",	     "net",	   "limits", "migration", "include", "device", "container",
	"read",	     "50MiB",	   "p99",    "5ms",	  "port",    "1-5",    "\n    - ",
};

static size_t random_words(char *text)
{
	size_t len = 0;

	for (unsigned int n = pick(40); n; n--)
		len += (size_t)snprintf(text + len, TEXT_MAX - len, "%s", words[pick(ARRAY_SIZE(words))]);
	return len;
}

/* A good file with a few bytes changed, doubled or taken out. */
static size_t mutated(char *text)
{
	static const char good[] = "agent:\n  log_level: info\n  max_containers: 100\n  linger: 300\n  self_stats: sample\n"
				   "  include: [a, b]\n"
				   "blkio:\n  mode: monitor\n  limits:\n    - {vm: a, device: b, read: 50MiB}\n"
				   "  targets: [{container: a, device: b, p99: 5ms}]\n"
				   "net:\n  link: 1Gbit\n  limits: [{migration: qemu, egress: 5Mbit}, {vm: a, weight: 7}]\n"
				   "  migration: [{kind: criu, port: 5-6, process: c}]\n";
	size_t len = sizeof(good) - 1;

	memcpy(text, good, len);
	for (unsigned int n = pick(4); n; n--) {
		size_t at = pick((unsigned int)len);

		switch (pick(3)) {
		case 0:
			text[at] = (char)pick(256);
			break;
		case 1:
			memmove(text + at + 1, text + at, len - at);
			len++;
			break;
		default:
			memmove(text + at, text + at + 1, len - at - 1);
			len--;
		}
	}
	return len;
}

/* "PATH:LINE:COLUMN: why" */
static bool has_place(const char *text)
{
	size_t line = 0, column = 0, len = strlen(path);
	int end = 0;

	return !strncmp(text, path, len) && sscanf(text + len, ":%zu:%zu: %n", &line, &column, &end) == 2 && end && line &&
	       column && text[len + (size_t)end];
}

static bool lists_in_range(const struct policy *p)
{
	bool good = true;

	for (unsigned int i = 0; i < agent(p)->include_count; i++)
		good &= strlen(agent(p)->include[i]) - 1 < 191;
	for (unsigned int i = 0; i < blkio(p)->limits_count; i++)
		good &= !blkio(p)->limits[i].container != !blkio(p)->limits[i].vm && blkio(p)->limits[i].device[0] &&
			blkio(p)->limits[i].weight <= 10000;
	for (unsigned int i = 0; i < blkio(p)->targets_count; i++)
		good &= blkio(p)->targets[i].p99 >= 10000;
	for (unsigned int i = 0; i < net(p)->limits_count; i++)
		good &= !net(p)->limits[i].container + !net(p)->limits[i].vm + !net(p)->limits[i].migration == 2 &&
			(net(p)->limits[i].egress || net(p)->limits[i].ingress || net(p)->limits[i].weight);
	for (unsigned int i = 0; i < net(p)->migration_count; i++)
		good &= net(p)->migration[i].kind < MIGRATION_KINDS && net(p)->migration[i].port <= 65535;
	return good;
}

static bool in_range(const struct policy *p)
{
	if (!lists_in_range(p))
		return false;
	return agent(p)->max_containers >= 1 && agent(p)->max_containers <= 1000 && agent(p)->linger <= 86400 &&
	       agent(p)->log_level <= LOG_LEVEL_DEBUG && agent(p)->self_stats <= BPF_STATS_ON && blkio(p)->mode <= MODE_ENFORCE;
}

static unsigned int open_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (fds && readdir(fds))
		n++;
	if (fds)
		closedir(fds);
	return n;
}

static void test_random(void)
{
	unsigned int good = 0, bad = 0, wrong = 0, fds = open_descriptors();
	char text[TEXT_MAX + 64];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct policy_error error = {};
		struct policy *p = NULL;
		size_t len = i % 2 ? mutated(text) : random_words(text);

		write_file(text, len);
		if (!policy_load(policy_sections, path, &p, &error)) {
			good++;
			wrong += !in_range(p);
			policy_free(p);
			continue;
		}
		bad++;
		if (!p && has_place(error.text))
			continue;
		wrong++;
		printf("# %s\n# of: %.*s\n", error.text, (int)len, text);
	}
	ok(good > ROUNDS / 50 && bad > ROUNDS / 4, "policy: random files are good and bad: %u, %u", good, bad);
	is_u64(0, wrong, "policy: random good files are in range, errors of bad ones have a place");
	is_u64(fds, open_descriptors(), "policy: loading random files leaves no file open");
}

int main(void)
{
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/policy.yaml", dir);
	test_defaults();
	test_json();
	test_overlay();
	test_lists();
	test_many();
	test_failure();
	test_index();
	test_index_errors();
	test_random();
	unlink(path);
	rmdir(dir);
	return done_testing();
}
