// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "agent/base/bpfobj.h"
#include "agent/cache/program.h"
#include "agent/lib/log.h"
#include "agent/lib/util.h"
#include "bpf/cache_choose.h"

#define PLACE "cache_choose"
#define LOG_SIZE 65536
#define JUMP_MAYBE (BPF_JMP | 0xe0) /* may_goto: a loop whose end is the kernel's business alone */

struct cache_program {
	struct bpf_object *obj;
	struct bpf_program *prog; /* its only one */
	struct bpf_link *link;
};

static int refuse(int err, struct buf *why, const char *reason)
{
	buf_str(why, reason);
	return err;
}

/* ---- reading ---- */

static int read_object(int file, char **ret, size_t *ret_len, struct buf *why)
{
	struct stat st;
	ssize_t n;

	if (fstat(file, &st) || !S_ISREG(st.st_mode))
		return refuse(-EINVAL, why, "it is not a regular file");
	if (!st.st_size || st.st_size > CACHE_OBJECT_MAX)
		return refuse(-EFBIG, why, "a BPF object file has up to 1 MiB, and at least something");
	*ret = malloc((size_t)st.st_size);
	n = *ret ? pread(file, *ret, (size_t)st.st_size, 0) : -1;
	if (n != st.st_size)
		return refuse(-EIO, why, "it cannot be read");
	*ret_len = (size_t)n;
	return 0;
}

/* Each is verified once, by itself, however often it is called. */
static unsigned int count_global_functions(const struct bpf_object *obj)
{
	const struct btf *btf = bpf_object__btf(obj);
	unsigned int nr = 0;

	for (__u32 id = 1; btf && id < btf__type_cnt(btf); id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		nr += btf_is_func(t) && btf_vlen(t) == BTF_FUNC_GLOBAL; /* there a function has its linkage */
	}
	return nr;
}

/* Of an object that was opened: its program, if that is one, and of the right kind. */
static int find_program(struct cache_program *p, struct buf *why)
{
	struct bpf_program *prog;
	unsigned int nr = 0;

	bpf_object__for_each_program (prog, p->obj) {
		p->prog = prog;
		nr++;
	}
	if (nr != 1)
		return refuse(-EINVAL, why, "it has to have one program, no more");
	if (strcmp(bpf_program__section_name(p->prog), "freplace/" PLACE) != 0)
		return refuse(-EINVAL, why, "its program has to be in the section freplace/" PLACE);
	if (count_global_functions(p->obj) > 1)
		return refuse(-EINVAL, why, "its functions, but for the program, have to be static");
	return 0;
}

static int open_object(struct cache_program *p, int file, struct buf *why)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "cache_user");
	_free_ char *bytes = NULL;
	size_t len = 0;
	int err = read_object(file, &bytes, &len, why);

	if (err)
		return err;
	p->obj = bpf_object__open_mem(bytes, len, &opts);
	if (!p->obj)
		return refuse(-EINVAL, why, "it is not a BPF object file");
	return find_program(p, why);
}

/* ---- judging ---- */

static int let_verify(struct cache_program *p, int target, struct buf *why)
{
	_free_ char *log = calloc(1, LOG_SIZE);
	int err;

	if (!log)
		return refuse(-ENOMEM, why, "out of memory");
	if (bpf_program__set_attach_target(p->prog, target, PLACE))
		return refuse(-EOPNOTSUPP, why, "this kernel does not tell of " PLACE "()");
	bpf_program__set_log_buf(p->prog, log, LOG_SIZE);
	err = bpf_object__load(p->obj);
	bpf_program__set_log_buf(p->prog, NULL, 0);
	if (err)
		buf_printf(why, "the kernel refuses it: %s", *log ? bpfobj_verdict(log) : strerror(-err));
	return err;
}

/* Those that end soon, call nobody back, and have no effect but on the program's own maps. */
static bool is_allowed(__s32 helper)
{
	static const enum bpf_func_id allowed[] = {
		BPF_FUNC_map_lookup_elem, BPF_FUNC_map_update_elem, BPF_FUNC_map_delete_elem,
		BPF_FUNC_ktime_get_ns,	  BPF_FUNC_get_prandom_u32, BPF_FUNC_get_smp_processor_id,
	};

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (helper == (__s32)allowed[i])
			return true;
	return false;
}

static const char *forbidden(const struct bpf_insn *insn)
{
	if (insn->code == JUMP_MAYBE)
		return "it has a loop without a bound that the verifier knows (may_goto)";
	if (insn->code != (BPF_JMP | BPF_CALL) || insn->src_reg == BPF_PSEUDO_CALL)
		return NULL;
	if (insn->src_reg || !is_allowed(insn->imm))
		return "it calls a function of the kernel that it must not call; bpf/cache_choose.h says which it may";
	return NULL;
}

/*
 * No run is longer than what the verifier walked, as no path through what it walked has a circle: but for loops that are
 * made by calls, or by may_goto, and for functions that it walked by themselves, of which there are none by now.
 */
static int check_bounds(const struct cache_program *p, struct buf *why)
{
	const struct bpf_insn *insns = bpf_program__insns(p->prog);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	for (size_t i = 0; i < bpf_program__insn_cnt(p->prog); i++)
		if (forbidden(&insns[i]))
			return refuse(-EPERM, why, forbidden(&insns[i]));
	if (bpf_obj_get_info_by_fd(bpf_program__fd(p->prog), &info, &len))
		return refuse(-errno, why, "the kernel does not tell how long it is");
	if (info.verified_insns <= CACHE_CHOOSE_INSNS)
		return 0;
	buf_printf(why, "it is too long: the verifier walked %u instructions, and at most %d may be", info.verified_insns,
		   CACHE_CHOOSE_INSNS);
	return -E2BIG;
}

/* ---- life ---- */

static int load(int file, int target, struct cache_program **ret, struct buf *why)
{
	struct cache_program *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return refuse(-ENOMEM, why, "out of memory");
	err = open_object(p, file, why) ?: let_verify(p, target, why) ?: check_bounds(p, why);
	if (err)
		cache_program_free(p);
	else
		*ret = p;
	return err;
}

const char *cache_program_name(const struct cache_program *p)
{
	return p ? bpf_program__name(p->prog) : "built-in";
}

/* There is one place for a program: between two, for a moment, the built-in one is asked. */
int cache_program_replace(struct cache_program **now, int file, int target, struct buf *out)
{
	struct cache_program *p = NULL;
	int err = file < 0 ? 0 : load(file, target, &p, out);
	const char *name = cache_program_name(p);

	if (err)
		return err;
	cache_program_free(*now);
	*now = p;
	/* Named again: of what is loaded for a program at a BTF tracepoint, Linux 6.12 does not keep the place. */
	if (p && !(p->link = bpf_program__attach_freplace(p->prog, target, PLACE))) {
		err = -errno;
		buf_printf(out, "the built-in program is in force, as the kernel does not attach %s: %s", name, strerror(-err));
		cache_program_free(p);
		*now = NULL;
		return err;
	}
	log_info("cache: stores are chosen by the program %s", name);
	buf_printf(out, "{\"program\": \"%s\"}\n", name); /* the kernel took the name: it has letters, digits and _ */
	return 0;
}

void cache_program_free(struct cache_program *p)
{
	if (!p)
		return;
	bpf_link__destroy(p->link);
	bpf_object__close(p->obj);
	free(p);
}
