// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "agent/lib/util.h"
#include "agent/lib/yaml_index.h"

/* An open mapping or sequence. */
struct level {
	bool mapping;
	bool want_value; /* mapping: a key was read */
	size_t path_len; /* of the path above this level */
	size_t first; /* where what is in it starts in the index */
	size_t entries; /* sequence: how many were read */
	struct yaml_key *key; /* mapping: the key whose value comes next */
};

struct walk {
	struct yaml_index *index;
	struct yaml_place place;
	char path[YAML_PATH_MAX];
	struct level levels[YAML_DEPTH_MAX];
	size_t depth;
	bool seen_document;
	char *why;
	size_t why_size;
};

static struct yaml_place place_of(yaml_mark_t mark)
{
	return (struct yaml_place){ .line = mark.line + 1, .column = mark.column + 1 };
}

static int refuse(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct walk *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(w->why, w->why_size, fmt, args);
	va_end(args);
	return -EINVAL;
}

const struct yaml_key *yaml_find(const struct yaml_index *index, const char *path)
{
	for (size_t i = 0; i < index->nr; i++)
		if (!strcmp(index->keys[i].path, path))
			return &index->keys[i];
	return NULL;
}

/* What goes into messages, and from there to a terminal. */
static void copy_text(char *to, size_t size, const char *text)
{
	size_t i;

	for (i = 0; i + 1 < size && text[i]; i++)
		to[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	to[i] = '\0';
}

/* w->path as the next in the index; NULL when it is full. */
static struct yaml_key *append(struct walk *w)
{
	struct yaml_key *key;

	if (w->index->nr == YAML_KEYS_MAX)
		return NULL;
	key = &w->index->keys[w->index->nr++];
	memset(key, 0, sizeof(*key));
	memcpy(key->path, w->path, strlen(w->path) + 1);
	key->key = w->place;
	return key;
}

static int full(struct walk *w)
{
	return refuse(w, "more than %d keys", YAML_KEYS_MAX);
}

static int add_key(struct walk *w, struct level *level, const char *name)
{
	int len;

	if (!*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")])
		return refuse(w, "a key must be a plain word");
	len = snprintf(w->path + level->path_len, sizeof(w->path) - level->path_len, "%s%s", level->path_len ? "." : "", name);
	if (level->path_len + (size_t)len >= sizeof(w->path))
		return refuse(w, "this key is too long");
	for (size_t i = level->first; i < w->index->nr; i++)
		if (!strcmp(w->index->keys[i].path, w->path))
			return refuse(w, "%s is set twice, first at line %zu", w->path, w->index->keys[i].key.line);
	level->key = append(w);
	level->want_value = true;
	return level->key ? 0 : full(w);
}

static int add_entry(struct walk *w, struct level *level)
{
	int len = snprintf(w->path + level->path_len, sizeof(w->path) - level->path_len, "[%zu]", level->entries++);

	if (level->path_len + (size_t)len >= sizeof(w->path))
		return refuse(w, "this list is nested too deep");
	level->key = append(w);
	return level->key ? 0 : full(w);
}

/* A scalar, mapping or sequence begins. */
static int on_value(struct walk *w, enum yaml_kind kind, const char *text)
{
	struct level *level = w->depth ? &w->levels[w->depth - 1] : NULL;
	int err = 0;

	if (!level)
		return 0;
	if (!level->mapping)
		err = add_entry(w, level);
	else if (!level->want_value)
		err = refuse(w, "a key must be a plain word");
	if (err)
		return err;
	level->key->value = w->place;
	level->key->kind = kind;
	level->key->len = strlen(text);
	copy_text(level->key->text, sizeof(level->key->text), text);
	level->want_value = false;
	return 0;
}

static int on_open(struct walk *w, bool mapping)
{
	int err = on_value(w, mapping ? YAML_KIND_KEYS : YAML_KIND_LIST, "");

	if (err)
		return err;
	if (!w->depth && !mapping)
		return refuse(w, "it starts with a key and a colon, such as blkio:");
	if (w->depth == YAML_DEPTH_MAX)
		return refuse(w, "nested deeper than %d levels", YAML_DEPTH_MAX);
	w->levels[w->depth] = (struct level){
		.mapping = mapping,
		.path_len = w->depth ? strlen(w->path) : 0,
		.first = w->index->nr,
	};
	w->depth++;
	return 0;
}

static int on_close(struct walk *w)
{
	w->path[w->levels[--w->depth].path_len] = '\0';
	return 0;
}

static int on_scalar(struct walk *w, const yaml_event_t *event)
{
	struct level *level = w->depth ? &w->levels[w->depth - 1] : NULL;
	const char *text = (const char *)event->data.scalar.value;

	if (event->data.scalar.anchor || event->data.scalar.tag)
		return refuse(w, "anchors and tags are not allowed");
	if (strlen(text) != event->data.scalar.length)
		return refuse(w, "a NUL character is not allowed");
	if (!level)
		return *text ? refuse(w, "it starts with a key and a colon, such as blkio:") : 0;
	if (level->mapping && !level->want_value)
		return add_key(w, level, text);
	return on_value(w, YAML_KIND_TEXT, text);
}

static int on_event(struct walk *w, const yaml_event_t *event)
{
	w->place = place_of(event->start_mark);
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (w->seen_document)
			return refuse(w, "a second document in one file is not allowed");
		w->seen_document = true;
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(w, "aliases are not allowed");
	case YAML_SCALAR_EVENT:
		return on_scalar(w, event);
	case YAML_MAPPING_START_EVENT:
		if (event->data.mapping_start.anchor || event->data.mapping_start.tag)
			return refuse(w, "anchors and tags are not allowed");
		return on_open(w, true);
	case YAML_SEQUENCE_START_EVENT:
		if (event->data.sequence_start.anchor || event->data.sequence_start.tag)
			return refuse(w, "anchors and tags are not allowed");
		return on_open(w, false);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return on_close(w);
	default:
		return 0;
	}
}

/* libyaml tells the place of a bad byte as an offset. */
static struct yaml_place place_of_offset(const char *text, size_t offset)
{
	struct yaml_place place = { .line = 1, .column = 1 };

	for (size_t i = 0; i < offset; i++) {
		place.column += (text[i] & 0xc0) != 0x80; /* characters, not bytes */
		if (text[i] == '\n')
			place = (struct yaml_place){ .line = place.line + 1, .column = 1 };
	}
	return place;
}

static int syntax_error(struct walk *w, const yaml_parser_t *parser, const char *text, size_t len)
{
	size_t at = parser->problem_mark.index;

	if (parser->error == YAML_MEMORY_ERROR) {
		refuse(w, "out of memory");
		return -ENOMEM;
	}
	if (parser->error == YAML_READER_ERROR)
		w->place = place_of_offset(text, parser->problem_offset);
	else
		w->place = place_of(parser->problem_mark);
	if (parser->error == YAML_SCANNER_ERROR && at < len && text[at] == '\t')
		return refuse(w, "a tab cannot indent; use spaces");
	return refuse(w, "%s", parser->problem);
}

int yaml_index(const char *text, size_t len, struct yaml_index *ret_index, struct yaml_place *ret_place, char *why,
	       size_t why_size)
{
	struct walk w = { .index = ret_index, .why = why, .why_size = why_size };
	yaml_parser_t parser;
	bool end = false;
	int err = 0;

	ret_index->nr = 0;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!err && !end) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			err = syntax_error(&w, &parser, text, len);
			break;
		}
		err = on_event(&w, &event);
		end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	*ret_place = w.place;
	return err;
}
