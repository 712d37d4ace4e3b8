// SPDX-License-Identifier: GPL-2.0
/* A table of rates on a terminal, by ncurses: it knows terminals, their keys and sizes, and restores them. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <curses.h>

#include "agent/ctl/top.h"
#include "agent/ctl/top_cell.h"
#include "agent/lib/util.h"

#define ESCAPE 27
#define FIRST_ROW 3 /* below status, message and titles */
#define NAME_MIN 16 /* columns */
#define VM_WIDTH 12

enum mode { TABLE, HELP, ASK_FILTER, ASK_DELAY };

struct view {
	struct top_options *o;
	struct top *t;
	bool *wanted; /* columns with numbers that fit */
	enum mode mode;
	char input[64]; /* being typed */
	char filter[64];
	char message[256]; /* of the last reading */
	char notice[64]; /* about what was typed, until the next key */
	bool paused, end;
	size_t scroll; /* rows above the screen */
	unsigned long shown; /* readings */
	int signal; /* that ended it */
	__u64 next_ns; /* of the next reading */
};

static const char *const help[] = {
	"Rates since the reading before; bytes and counts in powers of 1000.",
	"- is what is not known: the room is off, or the container is new.",
	"",
	"<  >  left  right   sort by the column before, after",
	"s                   sort by the next column, also by names",
	"r                   reverse the order",
	"/                   filter: part of a name, or a glob; empty for all",
	"d                   seconds between two readings",
	"p                   pause, go on",
	"space               read now",
	"up  down  pages     scroll",
	"h  ?                this help",
	"q                   quit",
};

/* ---- drawing ---- */

static bool is_wide_enough(const bool *wanted, int nr, int columns)
{
	int width = NAME_MIN;

	for (int i = 0; i < nr; i++)
		width += wanted[i] ? 1 + TOP_NUMBER_WIDTH : 0;
	return width <= columns;
}

/* The column with the highest rank goes first; the one that is sorted by stays. */
static void choose_columns(const struct top_options *o, int columns, bool *wanted)
{
	const struct top_column *all = o->table->columns;

	memset(wanted, true, (size_t)o->table->nr);
	while (!is_wide_enough(wanted, o->table->nr, columns)) {
		int worst = -1;

		for (int i = 0; i < o->table->nr; i++)
			if (wanted[i] && i != o->order.key && (worst < 0 || all[i].rank > all[worst].rank))
				worst = i;
		if (worst < 0)
			break;
		wanted[worst] = false;
	}
}

struct layout {
	bool *wanted; /* for each column with numbers */
	int vm_width, container_width; /* 0: no VM to show */
};

static void lay_out(const struct view *v, const struct top_row *rows, size_t nr, struct layout *l)
{
	int left;

	l->vm_width = v->o->order.key == top_vm(v->o->table) ? VM_WIDTH + 1 : 0;
	for (size_t i = 0; i < nr; i++)
		if (*rows[i].vm)
			l->vm_width = VM_WIDTH + 1;
	choose_columns(v->o, COLS - l->vm_width, l->wanted);
	left = COLS - l->vm_width;
	for (int i = 0; i < v->o->table->nr; i++)
		left -= l->wanted[i] ? 1 + TOP_NUMBER_WIDTH : 0;
	l->container_width = left > 0 ? left : 0;
}

static void draw_name(int line, int column, int width, const char *name)
{
	char text[TOP_CELL_MAX];
	int columns;

	top_name(name, width, text, sizeof(text), &columns);
	mvaddstr(line, column, text);
}

static void draw_title(int line, int column, int width, const struct view *v, int key)
{
	const char *title = v->o->table->columns[key].title;

	if (v->o->order.key == key)
		attron(A_BOLD | A_UNDERLINE);
	mvprintw(line, column, "%*.*s", width, width < 0 ? -width : width, title);
	attroff(A_BOLD | A_UNDERLINE);
}

static void draw_titles(const struct view *v, const struct layout *l)
{
	int column = l->vm_width + l->container_width;

	attron(A_REVERSE);
	mvhline(FIRST_ROW - 1, 0, ' ', COLS);
	if (l->vm_width)
		draw_title(FIRST_ROW - 1, 0, -VM_WIDTH, v, top_vm(v->o->table));
	if (l->container_width)
		draw_title(FIRST_ROW - 1, l->vm_width, -l->container_width, v, top_container(v->o->table));
	for (int i = 0; i < v->o->table->nr; i++) {
		if (!l->wanted[i])
			continue;
		draw_title(FIRST_ROW - 1, column + 1, TOP_NUMBER_WIDTH, v, i);
		column += 1 + TOP_NUMBER_WIDTH;
	}
	attroff(A_REVERSE);
}

static void draw_row(int line, const struct top_table *table, const struct top_row *row, const struct layout *l)
{
	int column = l->vm_width + l->container_width;
	char text[32];

	if (l->vm_width)
		draw_name(line, 0, VM_WIDTH, row->vm);
	draw_name(line, l->vm_width, l->container_width, row->container);
	for (int i = 0; i < table->nr; i++) {
		if (!l->wanted[i])
			continue;
		top_number(table->columns[i].unit, row->values[i], text, sizeof(text));
		mvprintw(line, column + 1, "%*s", TOP_NUMBER_WIDTH, text);
		column += 1 + TOP_NUMBER_WIDTH;
	}
}

static void draw_status(const struct view *v, size_t nr, size_t total)
{
	char text[TOP_CELL_MAX], clock[16];
	time_t now = time(NULL);
	struct tm tm;

	strftime(clock, sizeof(clock), "%T", localtime_r(&now, &tm));
	snprintf(text, sizeof(text), "%s  every %g s  %zu of %zu  sort %s%s%s%s%s", clock, v->o->interval, nr, total,
		 v->o->table->columns[v->o->order.key].key, v->o->order.reverse ? " reversed" : "", v->paused ? "  paused" : "",
		 *v->o->order.filter ? "  filter " : "", v->o->order.filter);
	draw_name(0, 0, COLS, text);
	if (v->mode == ASK_FILTER || v->mode == ASK_DELAY)
		snprintf(text, sizeof(text), "%s: %s_", v->mode == ASK_FILTER ? "filter" : "seconds", v->input);
	else
		snprintf(text, sizeof(text), "%s", v->notice[0] ? v->notice : v->message);
	attron(A_BOLD);
	draw_name(1, 0, COLS, text);
	attroff(A_BOLD);
}

static void draw(struct view *v)
{
	struct layout l = { .wanted = v->wanted };
	size_t nr, total;
	const struct top_row *rows = top_rows(v->t, &v->o->order, &nr, &total);
	size_t room = LINES > FIRST_ROW ? (size_t)(LINES - FIRST_ROW) : 0;

	if (v->scroll + room > nr)
		v->scroll = nr > room ? nr - room : 0;
	erase();
	draw_status(v, nr, total);
	if (v->mode == HELP) {
		for (size_t i = 0; i < ARRAY_SIZE(help); i++)
			draw_name(FIRST_ROW + (int)i, 0, COLS, help[i]);
	} else {
		lay_out(v, rows, nr, &l);
		draw_titles(v, &l);
		for (size_t i = 0; i < room && v->scroll + i < nr; i++)
			draw_row(FIRST_ROW + (int)i, v->o->table, &rows[v->scroll + i], &l);
	}
	refresh();
}

/* ---- keys ---- */

static void sort_by_neighbour(struct view *v, int step)
{
	int keys = top_keys(v->o->table);

	v->o->order.key = (v->o->order.key + step + keys) % keys;
}

static void ask_for(struct view *v, enum mode mode)
{
	v->mode = mode;
	v->input[0] = '\0';
}

static void take_input(struct view *v)
{
	char *end;
	double seconds = strtod(v->input, &end);

	if (v->mode == ASK_FILTER) {
		snprintf(v->filter, sizeof(v->filter), "%s", v->input);
		v->o->order.filter = v->filter;
	} else if (end > v->input && !*end && seconds >= TOP_INTERVAL_MIN && seconds <= TOP_INTERVAL_MAX) {
		v->o->interval = seconds;
		v->next_ns = now_ns();
	} else if (v->input[0]) {
		snprintf(v->notice, sizeof(v->notice), "must be %g to %d seconds", TOP_INTERVAL_MIN, TOP_INTERVAL_MAX);
	}
	v->mode = TABLE;
}

static void type(struct view *v, int key)
{
	size_t len = strlen(v->input);

	if (key == ESCAPE)
		v->mode = TABLE;
	else if (key == '\n' || key == '\r' || key == KEY_ENTER)
		take_input(v);
	else if ((key == KEY_BACKSPACE || key == 0x7f || key == '\b') && len)
		v->input[len - 1] = '\0';
	else if (key >= ' ' && key < 0x100 && key != 0x7f && len < sizeof(v->input) - 1)
		memcpy(v->input + len, (char[]){ (char)key, '\0' }, 2);
}

static void scroll_by(struct view *v, long rows)
{
	v->scroll = rows < 0 && v->scroll < (size_t)-rows ? 0 : v->scroll + (size_t)rows;
}

static void command(struct view *v, int key)
{
	long page = LINES > FIRST_ROW + 1 ? LINES - FIRST_ROW - 1 : 1;

	switch (key) {
	case 'q':
		v->end = true;
		break;
	case 's':
	case '>':
	case KEY_RIGHT:
		sort_by_neighbour(v, 1);
		break;
	case '<':
	case KEY_LEFT:
		sort_by_neighbour(v, -1);
		break;
	case 'r':
		v->o->order.reverse = !v->o->order.reverse;
		break;
	case '/':
		ask_for(v, ASK_FILTER);
		break;
	case 'd':
		ask_for(v, ASK_DELAY);
		break;
	case 'p':
		v->paused = !v->paused;
		break;
	case ' ':
		v->next_ns = now_ns();
		break;
	case 'h':
	case '?':
		v->mode = HELP;
		break;
	case KEY_UP:
	case KEY_DOWN:
		scroll_by(v, key == KEY_UP ? -1 : 1);
		break;
	case KEY_PPAGE:
	case KEY_NPAGE:
		scroll_by(v, key == KEY_PPAGE ? -page : page);
		break;
	default:
		break;
	}
}

static void on_key(struct view *v, int key)
{
	v->notice[0] = '\0';
	if (v->mode == HELP)
		v->mode = TABLE;
	else if (v->mode == TABLE)
		command(v, key);
	else
		type(v, key);
}

/* ---- events ---- */

static void on_signal(struct view *v, int fd)
{
	struct signalfd_siginfo info;
	struct winsize size;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGWINCH)
		v->signal = (int)info.ssi_signo;
	else if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
}

static void read_metrics(struct view *v)
{
	int err = ctl_ask_metrics(&v->o->agent, v->t);

	v->next_ns = now_ns() + (__u64)(v->o->interval * 1e9);
	v->message[0] = '\0';
	if (err == -EACCES || err == -EPERM)
		snprintf(v->message, sizeof(v->message), "not allowed to ask the agent at %s", v->o->agent.run_dir);
	else if (err)
		snprintf(v->message, sizeof(v->message), "no agent answers at %s: %s; trying again", v->o->agent.run_dir,
			 strerror(-err));
	else if (top_seconds(v->t) <= 0)
		snprintf(v->message, sizeof(v->message), "first rates in %g s; h for help", v->o->interval);
	else if (++v->shown == v->o->count)
		v->end = true;
}

static int wait_ms(const struct view *v)
{
	__u64 now = now_ns();

	if (v->paused)
		return -1;
	return v->next_ns > now ? (int)((v->next_ns - now) / 1000000 + 1) : 0;
}

static void watch(struct view *v, int signals)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	int key;

	while (!v->end && !v->signal) {
		if (!v->paused && now_ns() >= v->next_ns)
			read_metrics(v);
		draw(v);
		if (v->end || poll(fds, ARRAY_SIZE(fds), wait_ms(v)) <= 0)
			continue;
		if (fds[1].revents)
			on_signal(v, signals);
		while ((key = getch()) != ERR)
			on_key(v, key);
		if (fds[0].revents & (POLLHUP | POLLERR))
			v->end = true; /* the terminal is gone */
	}
}

/* After the terminal is restored, what ended us is seen by who started us. */
static void die_of(int signal_number, const sigset_t *former)
{
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	sigprocmask(SIG_SETMASK, former, NULL);
}

int top_view(struct top_options *o, struct top *t)
{
	_free_ bool *wanted = calloc((size_t)o->table->nr + 1, sizeof(*wanted));
	struct view v = { .o = o, .t = t, .wanted = wanted, .next_ns = now_ns() };
	SCREEN *screen = wanted ? newterm(NULL, stdout, stdin) : NULL;
	_close_ int signals = -1;
	sigset_t ours, former;

	if (!screen)
		return -ENOTTY;
	sigemptyset(&ours);
	for (size_t i = 0; i < 5; i++)
		sigaddset(&ours, (int[]){ SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH }[i]);
	sigprocmask(SIG_BLOCK, &ours, &former);
	signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	watch(&v, signals);
	endwin();
	delscreen(screen);
	if (v.signal)
		die_of(v.signal, &former);
	sigprocmask(SIG_SETMASK, &former, NULL);
	return EXIT_SUCCESS;
}
