/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is on the SSD is encrypted with a random key that is only in memory, and only until the store is closed: then, as
 * after a crash, nobody can read it any more. That it was not changed is for its hash to say.
 */
#ifndef NESTOR_KFUNCS_CACHE_CIPHER_H
#define NESTOR_KFUNCS_CACHE_CIPHER_H

#include "kfuncs/compat.h"

struct crypto_skcipher;

/* A cipher with a key of its own, or an ERR_PTR(): -EOPNOTSUPP if the kernel has none that would do. May sleep. */
struct crypto_skcipher *cache_cipher_new(void);
/* Wipes the key. NULL or an ERR_PTR() is nothing. */
void cache_cipher_free(struct crypto_skcipher *cipher);

/*
 * Encrypts @nr pages @from into pages @to, which may be the same. @number and @first, of the first page, say which pages they
 * are: no other pages are ever encrypted with the same two, and one page is not with another content. 0 or -errno.
 * Sleeps, starts no I/O.
 */
int cache_cipher_encrypt(struct crypto_skcipher *cipher, struct page *const *from, struct page *const *to, u32 nr, u64 number,
			 u32 first);
int cache_cipher_decrypt(struct crypto_skcipher *cipher, struct page *const *pages, u32 nr, u64 number, u32 first);

#endif
