// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cyaml/cyaml.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/lib/util.h"
#include "agent/lib/yaml_load.h"
#include "gpu/fn/formula.h"
#include "gpu/fn/function.h"
#include "gpu/kernels.h"

#define FILE_MAX (256 * 1024)
#define GROUPS_MAX 0x7fffffff /* of a kernel: what CUDA takes */
#define GROUP_MAX 1024 /* work-items of a group, the same */
#define WHOLE_MAX 9007199254740992.0 /* 2^53: doubles have all whole numbers up to it */

const unsigned int fn_type_size[] = {
	[FN_UINT8] = 1, [FN_INT32] = 4, [FN_UINT32] = 4, [FN_UINT64] = 8, [FN_FLOAT32] = 4, [FN_FLOAT64] = 8,
};

/* ---- what a description may have ---- */

static const cyaml_strval_t kinds[] = {
	{ "input", FN_INPUT },
	{ "output", FN_OUTPUT },
	{ "scratch", FN_SCRATCH },
	{ "scalar", FN_SCALAR },
};

static const cyaml_strval_t types[] = {
	{ "uint8", FN_UINT8 },	 { "int32", FN_INT32 },	    { "uint32", FN_UINT32 },
	{ "uint64", FN_UINT64 }, { "float32", FN_FLOAT32 }, { "float64", FN_FLOAT64 },
};

#define TEXT(key, type, flags) CYAML_FIELD_STRING_PTR(#key, flags, type, key, 1, 512)
#define OPTIONAL CYAML_FLAG_OPTIONAL

static const cyaml_schema_field_t argument_fields[] = {
	TEXT(name, struct fn_argument, 0),
	CYAML_FIELD_ENUM("kind", CYAML_FLAG_STRICT, struct fn_argument, kind, kinds, ARRAY_SIZE(kinds)),
	CYAML_FIELD_ENUM("type", CYAML_FLAG_STRICT, struct fn_argument, type, types, ARRAY_SIZE(types)),
	TEXT(count, struct fn_argument, OPTIONAL),
	TEXT(per_unit, struct fn_argument, OPTIONAL),
	CYAML_FIELD_FLOAT("min", OPTIONAL, struct fn_argument, min),
	CYAML_FIELD_FLOAT("max", OPTIONAL, struct fn_argument, max),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t kernel_fields[] = {
	TEXT(name, struct fn_kernel, 0),
	CYAML_FIELD_UINT("group", 0, struct fn_kernel, group),
	TEXT(groups, struct fn_kernel, 0),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t argument_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct fn_argument,
									 argument_fields) };
static const cyaml_schema_value_t kernel_entry = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct fn_kernel, kernel_fields) };
static const cyaml_schema_value_t call_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, 512) };

static const cyaml_schema_field_t function_fields[] = {
	TEXT(doc, struct function, 0),
	CYAML_FIELD_SEQUENCE("arguments", CYAML_FLAG_POINTER, struct function, arguments, &argument_entry, 1, FN_ARGS_MAX),
	CYAML_FIELD_SEQUENCE("kernels", CYAML_FLAG_POINTER, struct function, kernels, &kernel_entry, 1, FN_KERNELS_MAX),
	CYAML_FIELD_BOOL("sliceable", 0, struct function, sliceable),
	TEXT(unit, struct function, OPTIONAL),
	TEXT(cost, struct function, OPTIONAL),
	TEXT(reference, struct function, OPTIONAL),
	CYAML_FIELD_FLOAT("tolerance", OPTIONAL, struct function, tolerance),
	CYAML_FIELD_SEQUENCE("checks", CYAML_FLAG_POINTER, struct function, checks, &call_entry, 1, 64),
	CYAML_FIELD_SEQUENCE("sizes", CYAML_FLAG_POINTER | OPTIONAL, struct function, sizes, &call_entry, 3, FN_SIZES_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct function, function_fields) };

/* ---- reading one ---- */

static int fail(char why[256], int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int fail(char why[256], int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, 256, fmt, args);
	va_end(args);
	return err;
}

/* A file of @dir as a string, after @before. */
static int read_text(int dir, const char *file, const char *before, char **ret, char why[256])
{
	size_t skip = strlen(before);
	_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;
	char *text;

	if (fd < 0 || fstat(fd, &st))
		return fail(why, -errno, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return fail(why, -EFBIG, "%s: is no file of up to %d KiB", file, FILE_MAX / 1024);
	text = malloc(skip + FILE_MAX + 1);
	if (!text)
		return fail(why, -ENOMEM, "out of memory");
	memcpy(text, before, skip);
	n = read(fd, text + skip, FILE_MAX);
	text[skip + (size_t)(n > 0 ? n : 0)] = '\0';
	*ret = text;
	if (n < 0)
		return fail(why, -errno, "%s: %s", file, strerror(errno));
	return strlen(text + skip) == (size_t)n ? 0 : fail(why, -EINVAL, "%s: has a NUL character", file);
}

static int parse(const char *file, const char *text, struct function **ret, char why[256])
{
	_free_ struct yaml_index *index = calloc(1, sizeof(*index));
	struct yaml_place place;
	char what[256];
	int err;

	if (!index)
		return fail(why, -ENOMEM, "out of memory");
	err = yaml_index(text, strlen(text), index, &place, what, sizeof(what));
	err = err ?: yaml_data(text, strlen(text), &schema, (void **)ret, &place, what);
	if (!err && !*ret)
		return fail(why, -EINVAL, "%s: is empty", file);
	return err ? fail(why, err, "%s:%zu:%zu: %.180s", file, place.line, place.column, what) : 0;
}

static bool is_word(const char *s)
{
	return isalpha((unsigned char)*s) && strlen(s) < FN_NAME_MAX &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")];
}

static bool is_float(enum fn_type type)
{
	return type == FN_FLOAT32 || type == FN_FLOAT64;
}

static double type_max(enum fn_type type)
{
	static const double max[] = { [FN_UINT8] = UINT8_MAX,  [FN_INT32] = INT32_MAX, [FN_UINT32] = UINT32_MAX,
				      [FN_UINT64] = WHOLE_MAX, [FN_FLOAT32] = FLT_MAX, [FN_FLOAT64] = DBL_MAX };

	return max[type];
}

static double type_min(enum fn_type type)
{
	return is_float(type) ? -type_max(type) : type == FN_INT32 ? INT32_MIN : 0;
}

/* Words that a call uses for itself, beside its scalars. */
static bool is_reserved(const char *name)
{
	return !strcmp(name, "deadline") || !strcmp(name, "priority") || !strcmp(name, "wait") || !strcmp(name, "first");
}

static int check_argument(const struct function *f, unsigned int i, char why[256])
{
	struct fn_argument *a = &f->arguments[i];

	if (!is_word(a->name) || is_reserved(a->name))
		return fail(why, -EINVAL, "%.40s: no name for an argument", a->name);
	for (unsigned int j = 0; j < i; j++)
		if (!strcmp(f->arguments[j].name, a->name))
			return fail(why, -EINVAL, "%s: there are two arguments of this name", a->name);
	if (!a->count != (a->kind == FN_SCALAR))
		return fail(why, -EINVAL, "%s: %s", a->name, a->count ? "a scalar has no count" : "has no count");
	if (a->per_unit && a->kind != FN_OUTPUT)
		return fail(why, -EINVAL, "%s: only an output has per_unit", a->name);
	if (a->kind == FN_SCALAR && a->type == FN_UINT8)
		return fail(why, -EINVAL, "%s: a scalar is of 32 or 64 bits", a->name);
	if (!a->min && !a->max) {
		a->min = a->kind == FN_SCALAR ? type_min(a->type) : 0;
		a->max = a->kind == FN_SCALAR ? type_max(a->type) : is_float(a->type) ? 1 : 255;
	}
	if (!(a->min <= a->max && a->min >= type_min(a->type) && a->max <= type_max(a->type)))
		return fail(why, -EINVAL, "%s: min and max are no range of its type", a->name);
	return 0;
}

static int check_kernels(const struct function *f, char why[256])
{
	for (unsigned int i = 0; i < f->kernels_count; i++) {
		const struct fn_kernel *k = &f->kernels[i];

		if (!is_word(k->name))
			return fail(why, -EINVAL, "%.40s: no name for a kernel", k->name);
		if (!k->group || k->group > GROUP_MAX)
			return fail(why, -EINVAL, "%s: a group has 1 to %d work-items", k->name, GROUP_MAX);
	}
	return 0;
}

static int check_calls(const struct function *f, char *const *calls, unsigned int n, char why[256])
{
	struct fn_call call;
	char what[192];

	for (unsigned int i = 0; i < n; i++)
		if (fn_call_parse(f, calls[i], &call, what))
			return fail(why, -EINVAL, "the call '%.60s': %.150s", calls[i], what);
	return 0;
}

static int check(const struct function *f, char why[256])
{
	int err = 0;

	for (unsigned int i = 0; i < f->arguments_count && !err; i++)
		err = check_argument(f, i, why);
	err = err ?: check_kernels(f, why);
	if (err)
		return err;
	if (f->reference && (!is_word(f->reference) || !f->check_source))
		return fail(why, -EINVAL, "the reference is to be a kernel in %s.check.cl", f->name);
	if (!(f->tolerance >= 0 && isfinite(f->tolerance)))
		return fail(why, -EINVAL, "tolerance is a number, 0 or more");
	return check_calls(f, f->checks, f->checks_count, why) ?: check_calls(f, f->sizes, f->sizes_count, why);
}

static int load_sources(int dir, struct function *f, char why[256])
{
	char file[FN_NAME_MAX + 16];
	int err;

	snprintf(file, sizeof(file), "%s.cl", f->name);
	err = read_text(dir, file, gpu_dialect, &f->source, why);
	if (err || !f->reference)
		return err;
	snprintf(file, sizeof(file), "%s.check.cl", f->name);
	return read_text(dir, file, gpu_dialect, &f->check_source, why);
}

int function_load(int dir, const char *name, struct function **ret, char why[256])
{
	char file[FN_NAME_MAX + 16], what[256];
	_free_ char *text = NULL;
	struct function *f = NULL;
	int err;

	if (!is_word(name))
		return fail(why, -EINVAL, "'%.40s' is no name for a function", name);
	snprintf(file, sizeof(file), "%s.yaml", name);
	err = read_text(dir, file, "", &text, why);
	err = err ?: parse(file, text, &f, why);
	if (err)
		return err;
	snprintf(f->name, sizeof(f->name), "%s", name);
	err = load_sources(dir, f, why);
	if (!err)
		f->hash = XXH3_64bits_withSeed(f->source, strlen(f->source), XXH3_64bits(text, strlen(text)));
	if (!err && check(f, what))
		err = fail(why, -EINVAL, "%s: %.200s", file, what);
	if (err) {
		function_free(f);
		return err;
	}
	*ret = f;
	return 0;
}

void function_free(struct function *f)
{
	if (!f)
		return;
	free(f->source);
	free(f->check_source);
	yaml_data_free(&schema, f);
}

/* ---- calls ---- */

#define REFUSE(...) (snprintf(why, 192, __VA_ARGS__), -EINVAL)

static int take_scalar(const struct fn_argument *a, const char *text, double *ret, char why[192])
{
	char *end;
	double v = strtod(text, &end);

	if (isspace((unsigned char)*text) || end == text || *end || !isfinite(v))
		return REFUSE("%s: '%.40s' is no number", a->name, text);
	if (!is_float(a->type) && v != floor(v))
		return REFUSE("%s: '%.40s' is no whole number", a->name, text);
	if (v < a->min || v > a->max)
		return REFUSE("%s: %.40s is not within %g and %g", a->name, text, a->min, a->max);
	*ret = v;
	return 0;
}

static int take_values(const struct function *f, const struct fn_value *values, size_t n, struct fn_call *c, char why[192])
{
	bool had[FN_ARGS_MAX] = { 0 };

	for (size_t v = 0; v < n; v++) {
		unsigned int i = 0;

		while (i < f->arguments_count &&
		       (f->arguments[i].kind != FN_SCALAR || strcmp(f->arguments[i].name, values[v].name) != 0))
			i++;
		if (i == f->arguments_count)
			return REFUSE("%s has no scalar '%.40s'", f->name, values[v].name);
		if (had[i])
			return REFUSE("%s is given twice", f->arguments[i].name);
		had[i] = true;
		if (take_scalar(&f->arguments[i], values[v].text, &c->scalars[i], why))
			return -EINVAL;
	}
	for (unsigned int i = 0; i < f->arguments_count; i++)
		if (f->arguments[i].kind == FN_SCALAR && !had[i])
			return REFUSE("%s is missing", f->arguments[i].name);
	return 0;
}

/* What formulas may name. */
static size_t whole_scalars(const struct fn_call *c, struct expr_name *ret)
{
	const struct function *f = c->f;
	size_t n = 0;

	for (unsigned int i = 0; i < f->arguments_count; i++)
		if (f->arguments[i].kind == FN_SCALAR && !is_float(f->arguments[i].type) && c->scalars[i] >= 0)
			ret[n++] = (struct expr_name){ f->arguments[i].name, (uint64_t)c->scalars[i] };
	return n;
}

/* @formula, 1 to @max, of what @what tells. */
static int evaluate(const struct fn_call *c, const char *what, const char *formula, uint64_t max, uint64_t *ret, char why[192])
{
	struct expr_name names[FN_ARGS_MAX];
	size_t n = whole_scalars(c, names);
	char reason[128];

	if (formula_eval(formula, names, n, ret, reason))
		return REFUSE("%s: '%.40s': %s", what, formula, reason);
	if (!*ret || *ret > max)
		return REFUSE("%s: '%.40s' gives %llu, not 1 to %llu", what, formula, (unsigned long long)*ret,
			      (unsigned long long)max);
	return 0;
}

static int size_argument(struct fn_call *c, unsigned int i, char why[192])
{
	const struct fn_argument *a = &c->f->arguments[i];
	unsigned int size = fn_type_size[a->type];

	if (a->kind == FN_SCALAR)
		return 0;
	if (evaluate(c, a->name, a->count, FN_BYTES_MAX / size, &c->elements[i], why))
		return -EINVAL;
	if (a->per_unit && evaluate(c, a->name, a->per_unit, FN_BYTES_MAX / size, &c->per_unit[i], why))
		return -EINVAL;
	c->bytes[i] = c->elements[i] * size;
	c->device_bytes += c->bytes[i];
	c->input_bytes += a->kind == FN_INPUT ? c->bytes[i] : 0;
	c->output_bytes += a->kind == FN_OUTPUT ? c->bytes[i] : 0;
	if (a->kind == FN_OUTPUT && !a->per_unit)
		c->partable = false;
	return 0;
}

static int size_kernels(struct fn_call *c, char why[192])
{
	const struct function *f = c->f;
	uint64_t groups;

	for (unsigned int i = 0; i < f->kernels_count; i++) {
		if (evaluate(c, f->kernels[i].name, f->kernels[i].groups, GROUPS_MAX, &groups, why))
			return -EINVAL;
		c->groups[i] = (uint32_t)groups;
		c->all_groups += groups;
	}
	return 0;
}

/* Parts have to be all of an output, too. */
static int check_parts(const struct fn_call *c, char why[192])
{
	uint64_t units = (c->groups[0] + c->unit - 1) / c->unit, all;

	for (unsigned int i = 0; i < c->f->arguments_count; i++)
		if (c->per_unit[i] && (__builtin_mul_overflow(units, c->per_unit[i], &all) || all < c->elements[i]))
			return REFUSE("%s: per_unit is too small: %llu units do not write %llu elements",
				      c->f->arguments[i].name, (unsigned long long)units, (unsigned long long)c->elements[i]);
	return 0;
}

int fn_call_make(const struct function *f, const struct fn_value *values, size_t n, struct fn_call *ret, char why[192])
{
	struct fn_call *c = ret;
	int err;

	*c = (struct fn_call){ .f = f, .partable = f->sliceable && f->kernels_count == 1 };
	err = take_values(f, values, n, c, why);
	for (unsigned int i = 0; i < f->arguments_count && !err; i++)
		err = size_argument(c, i, why);
	err = err ?: size_kernels(c, why);
	err = err ?: evaluate(c, "unit", f->unit ?: "1", GROUPS_MAX, &c->unit, why);
	err = err ?: evaluate(c, "cost", f->cost ?: "1", UINT32_MAX, &c->cost, why);
	err = err ?: check_parts(c, why);
	if (!err && c->device_bytes > FN_BYTES_MAX)
		err = REFUSE("it wants more than %llu bytes", FN_BYTES_MAX);
	return err;
}

int fn_call_parse(const struct function *f, const char *text, struct fn_call *ret, char why[192])
{
	struct fn_value values[FN_ARGS_MAX];
	_free_ char *copy = strdup(text);
	size_t n = 0;

	if (!copy)
		return REFUSE("out of memory");
	for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		if (!value || n == FN_ARGS_MAX)
			return REFUSE("'%.40s' is not one of up to %d NAME=VALUE", word, FN_ARGS_MAX);
		*value = '\0';
		values[n++] = (struct fn_value){ word, value + 1 };
	}
	return fn_call_make(f, values, n, ret, why);
}

void fn_part(const struct fn_call *c, unsigned int arg, uint64_t first, uint64_t groups, uint64_t *ret_from, uint64_t *ret_n)
{
	uint64_t from = first / c->unit * c->per_unit[arg], units = (groups + c->unit - 1) / c->unit,
		 n = units * c->per_unit[arg];

	from = from < c->elements[arg] ? from : c->elements[arg];
	*ret_from = from;
	*ret_n = n < c->elements[arg] - from ? n : c->elements[arg] - from;
}
