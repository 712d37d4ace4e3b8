// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gpu/fn/formula.h"

#define DEPTH_MAX 32 /* brackets in each other */

/* By recursive descent, as in any book on compilers: sum = product {+ product}, product = atom {* atom}. */
struct parser {
	const char *at;
	const struct expr_name *names;
	size_t n;
	unsigned int depth;
	int err;
	char *why;
};

static uint64_t sum(struct parser *p);

static uint64_t fail(struct parser *p, int err, const char *what, const char *where, int len)
{
	if (!p->err)
		snprintf(p->why, 128, "%s%.*s", what, len > 60 ? 60 : len, where);
	p->err = p->err ?: err;
	return 0;
}

static char next(struct parser *p)
{
	p->at += strspn(p->at, " \t");
	return *p->at;
}

static uint64_t number(struct parser *p)
{
	uint64_t v = 0;

	for (; isdigit((unsigned char)*p->at); p->at++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p->at - '0', &v) || v > INT64_MAX)
			return fail(p, -ERANGE, "a number is too large", "", 0);
	return v;
}

/* At "(", of "(a)", or if there is to be another one of "(a, b)". */
static uint64_t brackets(struct parser *p, bool another, bool largest)
{
	uint64_t v, other;

	if (++p->depth > DEPTH_MAX)
		return fail(p, -EINVAL, "too many brackets", "", 0);
	p->at++;
	v = sum(p);
	if (another && !p->err) {
		if (next(p) != ',')
			return fail(p, -EINVAL, "max and min take two", "", 0);
		p->at++;
		other = sum(p);
		v = (other > v) == largest ? other : v;
	}
	if (!p->err && next(p) != ')')
		return fail(p, -EINVAL, "a bracket is not closed", "", 0);
	p->at += !p->err;
	p->depth--;
	return v;
}

static uint64_t name(struct parser *p)
{
	const char *from = p->at;
	size_t len;

	while (isalnum((unsigned char)*p->at) || *p->at == '_')
		p->at++;
	len = (size_t)(p->at - from);
	if (len == 3 && (!memcmp(from, "max", 3) || !memcmp(from, "min", 3)) && next(p) == '(')
		return brackets(p, true, from[1] == 'a');
	for (size_t i = 0; i < p->n; i++)
		if (strlen(p->names[i].name) == len && !memcmp(p->names[i].name, from, len))
			return p->names[i].value;
	return fail(p, -EINVAL, "there is no whole number of the name ", from, (int)len);
}

static uint64_t atom(struct parser *p)
{
	char c = next(p);

	if (isdigit((unsigned char)c))
		return number(p);
	if (isalpha((unsigned char)c) || c == '_')
		return name(p);
	return c == '(' ? brackets(p, false, false)
			: fail(p, -EINVAL, c ? "not understood: " : "it ends too early", p->at, (int)strlen(p->at));
}

static uint64_t apply(struct parser *p, char op, uint64_t a, uint64_t b)
{
	if ((op == '/' || op == '%') && !b)
		return fail(p, -ERANGE, "divides by 0", "", 0);
	if (op == '/' || op == '%')
		return op == '/' ? a / b : a % b;
	if (op == '-' && b > a)
		return fail(p, -ERANGE, "goes below 0", "", 0);
	if (op == '-')
		return a - b;
	if ((op == '*' ? __builtin_mul_overflow(a, b, &a) : __builtin_add_overflow(a, b, &a)) || a > INT64_MAX)
		return fail(p, -ERANGE, "is too large", "", 0);
	return a;
}

static uint64_t product(struct parser *p)
{
	uint64_t v = atom(p);
	char op;

	while (!p->err && (op = next(p)) && strchr("*/%", op)) {
		p->at++;
		v = apply(p, op, v, atom(p));
	}
	return v;
}

static uint64_t sum(struct parser *p)
{
	uint64_t v = product(p);
	char op;

	while (!p->err && (op = next(p)) && strchr("+-", op)) {
		p->at++;
		v = apply(p, op, v, product(p));
	}
	return v;
}

int formula_eval(const char *text, const struct expr_name *names, size_t n, uint64_t *ret, char why[128])
{
	struct parser p = { .at = text, .names = names, .n = n, .why = why };

	*ret = sum(&p);
	if (!p.err && next(&p))
		fail(&p, -EINVAL, "not understood: ", p.at, (int)strlen(p.at));
	return p.err;
}
