/*
 * date.c
 *		Fuzzer: the Date header.
 */
#include "../../src/net/http.h"

#include <stdlib.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (pgha_http_date((const char *) data, size) < 0)
		abort();
	return 0;
}
