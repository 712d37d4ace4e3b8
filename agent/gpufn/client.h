/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For programs in C that call GPU functions: link libnestor-gpufn.a and jansson; libcurl.so.4 is opened at run time. A client
 * is of one thread at a time; it keeps its connection from one call to the next. Calls block.
 */
#ifndef NESTOR_GPUFN_CLIENT_H
#define NESTOR_GPUFN_CLIENT_H

#include <stddef.h>

struct gpufn_client;

/*
 * @socket: NULL for $NESTOR_GPUFN_SOCKET, or where there is none /run/nestor/gpufn.sock. Connects later. NULL: no memory, or no
 * libcurl.
 */
struct gpufn_client *gpufn_client_new(const char *socket);
void gpufn_client_free(struct gpufn_client *c);

struct gpufn_outputs {
	void *at; /* to be freed; outputs one after the other, in the order of the function's arguments */
	size_t size;
	double seconds, device_seconds; /* from its arrival to its end, and what it used of devices */
	unsigned int slices, devices;
	int late; /* it was done, but after its deadline */
};

/*
 * Calls @function with @values, "width=64&height=48" (or NULL); deadline=SECONDS and priority=0 to 3 may be among them. @inputs
 * are one after the other. 0, or
 *	-ENOENT		there is no such function,
 *	-EINVAL		the values or the inputs are wrong,
 *	-EACCES		policy does not name the caller,
 *	-EBUSY		the caller has too many calls, or too much memory, under way,
 *	-ETIME		it cannot be done by its deadline,
 *	-ECONNREFUSED	nobody answers at the socket,
 *	-EIO		anything else,
 * and gpufn_client_error() says it in words.
 */
int gpufn_client_call(struct gpufn_client *c, const char *function, const char *values, const void *inputs, size_t size,
		      struct gpufn_outputs *ret);
const char *gpufn_client_error(const struct gpufn_client *c);

#endif
