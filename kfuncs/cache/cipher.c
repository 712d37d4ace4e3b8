// SPDX-License-Identifier: GPL-2.0
#include <crypto/skcipher.h>
#include <linux/crypto.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>

#include "kfuncs/cache/cipher.h"

#define KEY_MAX 64
#define IV_MAX 32

struct choice {
	const char *name;
	u32 key_size;
};

/* The fastest first. Any of them hides a page from who has the disk; the last one is there in the smallest kernels. */
static const struct choice choices[] = {
	{ "xts(aes)", 64 },
	{ "adiantum(xchacha12,aes)", 32 },
	{ "ctr(aes)", 32 },
};

/* The second one is several times faster than the first where the processor has no instructions for AES. */
static bool has_aes(void)
{
#ifdef CONFIG_X86
	return boot_cpu_has(X86_FEATURE_AES);
#else
	return true;
#endif
}

static struct crypto_skcipher *find_cipher(u32 *ret_key_size)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(choices); i++) {
		const struct choice *choice = &choices[i < 2 && !has_aes() ? 1 - i : i];
		struct crypto_skcipher *cipher = crypto_alloc_skcipher(choice->name, 0, 0);

		*ret_key_size = choice->key_size;
		if (PTR_ERR_OR_ZERO(cipher) != -ENOENT)
			return cipher;
	}
	return ERR_PTR(-EOPNOTSUPP);
}

struct crypto_skcipher *cache_cipher_new(void)
{
	u8 key[KEY_MAX];
	u32 size;
	struct crypto_skcipher *cipher = find_cipher(&size);
	int r;

	if (IS_ERR(cipher))
		return cipher;
	r = get_random_bytes_wait(key, size) ?: crypto_skcipher_setkey(cipher, key, size);
	memzero_explicit(key, sizeof(key));
	if (!r && !WARN_ON(crypto_skcipher_ivsize(cipher) > IV_MAX))
		return cipher;
	crypto_free_skcipher(cipher);
	return ERR_PTR(r ?: -EOPNOTSUPP);
}

void cache_cipher_free(struct crypto_skcipher *cipher)
{
	if (!IS_ERR_OR_NULL(cipher))
		crypto_free_skcipher(cipher);
}

/* A page is 256 blocks of AES: where they are counted, it is in the last two bytes, from 0. */
static void set_iv(u8 iv[IV_MAX], u64 number, u32 slot)
{
	memset(iv, 0, IV_MAX);
	memcpy(iv, &number, sizeof(number));
	memcpy(iv + sizeof(number), &slot, sizeof(slot));
}

static int one_page(struct skcipher_request *request, bool encrypt, struct page *from, struct page *to, u64 number, u32 slot)
{
	DECLARE_CRYPTO_WAIT(wait);
	struct scatterlist source, target;
	u8 iv[IV_MAX];

	sg_init_table(&source, 1);
	sg_set_page(&source, from, PAGE_SIZE, 0);
	sg_init_table(&target, 1);
	sg_set_page(&target, to, PAGE_SIZE, 0);
	set_iv(iv, number, slot);
	skcipher_request_set_callback(request, CRYPTO_TFM_REQ_MAY_BACKLOG | CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done, &wait);
	skcipher_request_set_crypt(request, &source, &target, PAGE_SIZE, iv);
	return crypto_wait_req(encrypt ? crypto_skcipher_encrypt(request) : crypto_skcipher_decrypt(request), &wait);
}

static int all_pages(struct crypto_skcipher *cipher, bool encrypt, struct page *const *from, struct page *const *to, u32 nr,
		     u64 number, u32 first)
{
	unsigned int flags = memalloc_noio_save();
	struct skcipher_request *request = skcipher_request_alloc(cipher, GFP_NOIO | __GFP_NOWARN);
	int r = request ? 0 : -ENOMEM;
	u32 i;

	for (i = 0; !r && i < nr; i++) {
		r = one_page(request, encrypt, from[i], to[i], number, first + i);
		cond_resched();
	}
	skcipher_request_free(request);
	memalloc_noio_restore(flags);
	return r;
}

int cache_cipher_encrypt(struct crypto_skcipher *cipher, struct page *const *from, struct page *const *to, u32 nr, u64 number,
			 u32 first)
{
	return all_pages(cipher, true, from, to, nr, number, first);
}

int cache_cipher_decrypt(struct crypto_skcipher *cipher, struct page *const *pages, u32 nr, u64 number, u32 first)
{
	return all_pages(cipher, false, pages, pages, nr, number, first);
}
