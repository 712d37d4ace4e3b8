// SPDX-License-Identifier: GPL-2.0
/* nestorctl: asks a running nestord and prints what it answers. The daemon renders JSON; tables are made here. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/bpfobj.h"
#include "agent/ctl.h"
#include "agent/log.h"
#include "agent/paths.h"
#include "agent/policy.h"
#include "agent/reply.h"
#include "agent/util.h"

enum { EXIT_USAGE = 2, EXIT_NO_DAEMON = 3 };

#define ANSWER_TIMEOUT_MS 30000

static const char usage[] = "Usage: nestorctl [OPTION]… COMMAND\n"
			    "\n"
			    "  rooms                 rooms, their state, and why one is down\n"
			    "  status                the agent\n"
			    "  policy show           the policy in force\n"
			    "  policy check FILE     look for errors in a policy file or directory; needs no agent\n"
			    "  policy reload         read the policy again now\n"
			    "  metrics               what Prometheus would get\n"
			    "  ROOM show             what a room has measured, e.g. blkio show\n"
			    "  reset                 forget all counters, also without a running agent\n"
			    "\n"
			    "  --json                print JSON\n"
			    "  --run-dir DIR         of the agent to ask (" DEFAULT_RUN_DIR ")\n"
			    "  --bpffs DIR           pinned counters, for reset without an agent (" DEFAULT_BPFFS ")\n"
			    "  --version, --help\n"
			    "\n"
			    "Exit status: 0 done, 1 refused or failed, 2 wrong arguments, 3 no agent answers.\n";

static const char *run_dir = DEFAULT_RUN_DIR;
static const char *bpffs = DEFAULT_BPFFS;
static bool as_json;

/* ---- asking ---- */

static int connect_agent(int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", run_dir, CTL_SOCKET) >= sizeof(addr.sun_path))
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

/* Sends two words. 0 with the answer's status and text; -errno if there is no agent. */
static int ask(const char *command, const char *arg, int *ret_status, char **ret_text)
{
	_close_ int sock = -1, fd = -1;
	char words[CTL_REQUEST_MAX];
	size_t len;
	int n, err;

	n = snprintf(words, sizeof(words), "%s%c%s", command, '\0', arg);
	if ((size_t)n >= sizeof(words))
		return -E2BIG;
	err = connect_agent(&sock);
	if (err)
		return err;
	if (send(sock, words, (size_t)n + 1, MSG_NOSIGNAL) < 0)
		return -errno;
	err = reply_recv(sock, ANSWER_TIMEOUT_MS, ret_status, &fd, &len);
	if (err)
		return err;
	*ret_text = read_text(fd, len);
	return *ret_text ? 0 : -ENOMEM;
}

static int no_agent(int err)
{
	if (err == -EACCES || err == -EPERM)
		return log_error(EXIT_FAILURE, "not allowed to ask the agent at %s; try sudo", run_dir);
	if (err == -E2BIG)
		return log_error(EXIT_USAGE, "this command is too long; see nestorctl --help");
	return log_error(EXIT_NO_DAEMON, "no agent answers at %s: %s", run_dir, strerror(-err));
}

/* ---- tables ---- */

#define CELL_MAX 512
#define COLUMNS_MAX 16

/* Names of containers are other people's: no byte of them may steer a terminal. */
static void disarm(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		bool c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0; /* U+0080 to U+009F */

		if (*c < ' ' || *c == 0x7f || c1)
			*c = '?';
		if (c1)
			*++c = '?';
	}
}

static void cell_text(const json_t *value, char *text, size_t size)
{
	if (json_is_string(value))
		snprintf(text, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(text, size, "%.6f", json_real_value(value));
	else
		snprintf(text, size, "%s", json_is_true(value) ? "yes" : "no");
	disarm(text);
}

static void print_rows(const json_t *list, const size_t *widths)
{
	const json_t *row, *value;
	char text[CELL_MAX];
	const char *key;
	size_t i;

	json_array_foreach (list, i, row) {
		size_t column = 0;

		json_object_foreach ((json_t *)row, key, value) {
			cell_text(value, text, sizeof(text));
			printf(json_is_number(value) ? "%*s  " : "%-*s  ", (int)widths[column], text);
			column++;
		}
		putchar('\n');
	}
}

/* An array of flat objects with the same keys. */
static void print_table(const json_t *list)
{
	size_t widths[COLUMNS_MAX] = {}, i, column;
	const json_t *row, *value;
	char text[CELL_MAX];
	const char *key;

	json_array_foreach (list, i, row) {
		column = 0;
		json_object_foreach ((json_t *)row, key, value) {
			size_t len = strlen(key), text_len;

			cell_text(value, text, sizeof(text));
			text_len = strlen(text);
			len = len > text_len ? len : text_len;
			if (column < COLUMNS_MAX && len > widths[column])
				widths[column] = len;
			column++;
		}
	}
	column = 0;
	json_object_foreach (json_array_get(list, 0), key, value) {
		printf(json_is_number(value) ? "%*s  " : "%-*s  ", (int)widths[column], key);
		column++;
	}
	if (column)
		putchar('\n');
	print_rows(list, widths);
}

static void print_object(const json_t *object, int indent)
{
	const json_t *value;
	char text[512];
	const char *key;

	json_object_foreach ((json_t *)object, key, value) {
		if (json_is_object(value)) {
			printf("%*s%s:\n", indent, "", key);
			print_object(value, indent + 2);
			continue;
		}
		cell_text(value, text, sizeof(text));
		printf("%*s%s: %s\n", indent, "", key, text);
	}
}

static void print_json(const char *text)
{
	json_t *json = as_json ? NULL : json_loads(text, 0, NULL);

	if (json_is_array(json))
		print_table(json);
	else if (json_is_object(json))
		print_object(json, 0);
	else
		fputs(text, stdout);
	json_decref(json);
}

/* ---- Prometheus' text as JSON ---- */

/* At a value's first character; cuts it at its end, undoes \\, \" and \n, and returns what follows. */
static char *cut_value(char *text)
{
	char *to = text;

	for (; *text && *text != '"'; text++) {
		if (*text == '\\' && text[1])
			*to++ = *++text == 'n' ? '\n' : *text;
		else
			*to++ = *text;
	}
	if (*text)
		text++;
	*to = '\0';
	return text;
}

/* {name="value",…} at *@pos, as agent/metrics.c writes it. */
static json_t *parse_labels(char **pos)
{
	json_t *labels = json_object();
	char *name = *pos, *equals;

	while ((*name == '{' || *name == ',') && (equals = strstr(name, "=\""))) {
		*equals = '\0';
		*pos = cut_value(equals + 2);
		json_object_set_new(labels, name + 1, json_string(equals + 2));
		name = *pos;
	}
	if (**pos == '}')
		(*pos)++;
	return labels;
}

static json_t *parse_sample(char *line)
{
	char *pos = line + strcspn(line, "{ "), *end;
	json_t *name = json_stringn(line, (size_t)(pos - line)), *labels = parse_labels(&pos), *value;

	value = json_integer(strtoll(pos, &end, 10));
	if (*end) {
		json_decref(value);
		value = json_real(strtod(pos, NULL));
	}
	return json_pack("{s:o, s:o, s:o}", "name", name, "labels", labels, "value", value);
}

static void print_samples(char *text)
{
	json_t *list = json_array();
	char *line, *json;

	while ((line = strsep(&text, "\n")))
		if (*line && *line != '#')
			json_array_append_new(list, parse_sample(line));
	json = json_dumps(list, JSON_INDENT(2));
	if (json)
		puts(json);
	free(json);
	json_decref(list);
}

static int ask_and_print(const char *command, const char *arg)
{
	_free_ char *text = NULL;
	int status, err;

	err = ask(command, arg, &status, &text);
	if (err)
		return no_agent(err);
	if (status) {
		log_error(0, "%s", *text ? text : strerror(-status));
		return EXIT_FAILURE;
	}
	if (as_json && !strcmp(command, "metrics"))
		print_samples(text);
	else
		print_json(text);
	return EXIT_SUCCESS;
}

/* ---- commands ---- */

static int do_policy_check(const char *path)
{
	struct policy_error error;
	struct policy *policy;

	if (policy_load(path, &policy, &error)) {
		if (as_json)
			print_json("{\"valid\": false}\n");
		log_error(0, "%s", error.text);
		return EXIT_FAILURE;
	}
	policy_free(policy);
	if (as_json)
		print_json("{\"valid\": true}\n");
	else
		printf("%s: good\n", path);
	return EXIT_SUCCESS;
}

/* An agent that runs, but with another --run-dir, would go on counting into removed maps. */
static bool is_in_use(void)
{
	_close_ int fd = open(bpffs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

static int print_removed(unsigned int removed)
{
	printf(as_json ? "{\"maps_removed\": %u}\n" : "maps_removed: %u\n", removed);
	return EXIT_SUCCESS;
}

static int reset_without_agent(void)
{
	unsigned int removed;
	int lock, err;

	if (access(bpffs, F_OK) && errno == ENOENT)
		return print_removed(0); /* nothing was ever kept */
	if (geteuid())
		return log_error(EXIT_FAILURE, "only root can remove the counters in %s; try sudo", bpffs);
	if (is_in_use())
		return log_error(EXIT_FAILURE, "%s is in use by an agent that does not answer at %s; give its --run-dir", bpffs,
				 run_dir);
	if (bpfobj_open_dir(bpffs, &lock))
		return EXIT_FAILURE;
	err = bpfobj_remove_pins(bpffs, &removed);
	if (!err && rmdir(bpffs))
		err = -errno;
	close(lock);
	return err ? log_error(EXIT_FAILURE, "%s: %s", bpffs, strerror(-err)) : print_removed(removed);
}

static int do_reset(void)
{
	_free_ char *text = NULL;
	int status;

	if (ask("reset", "", &status, &text))
		return reset_without_agent();
	if (status)
		return log_error(EXIT_FAILURE, "%s", text);
	print_json(text);
	return EXIT_SUCCESS;
}

static int wrong(const char *what)
{
	log_error(0, "%s; see nestorctl --help", what);
	return EXIT_USAGE;
}

static int do_policy(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "show"))
		return ask_and_print("policy", "");
	if (argc == 2 && !strcmp(argv[1], "reload"))
		return ask_and_print("reload", "");
	if (argc == 3 && !strcmp(argv[1], "check"))
		return do_policy_check(argv[2]);
	return wrong("policy takes show, reload or check FILE");
}

static int run(int argc, char **argv)
{
	static const char *const plain[] = { "rooms", "status", "metrics" };

	if (!argc)
		return wrong("a command is missing");
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (!strcmp(argv[0], plain[i]))
			return argc == 1 ? ask_and_print(plain[i], "") : wrong("this command takes no argument");
	if (!strcmp(argv[0], "policy"))
		return do_policy(argc, argv);
	if (!strcmp(argv[0], "reset"))
		return argc == 1 ? do_reset() : wrong("reset takes no argument");
	if (argc == 2 && !strcmp(argv[1], "show"))
		return ask_and_print("show", argv[0]);
	return wrong("there is no such command");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },	   { "run-dir", required_argument, NULL, 'r' },
		{ "bpffs", required_argument, NULL, 'b' }, { "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },	   {},
	};
	int option;

	log_open("nestorctl", LOG_LEVEL_INFO);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			as_json = true;
			break;
		case 'r':
			run_dir = optarg;
			break;
		case 'b':
			bpffs = optarg;
			break;
		case 'v':
			puts("nestorctl " NESTOR_VERSION " (" NESTOR_REVISION ")");
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs("Try nestorctl --help.\n", stderr);
			return EXIT_USAGE;
		}
	}
	return run(argc - optind, argv + optind);
}
