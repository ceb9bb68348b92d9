/*
 * error.c
 *		Fuzzer: error answers of EC2.
 */
#include "../../src/net/ec2.h"

#include <stdlib.h>
#include <string.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char		code[16];
	char		message[64];

	pgha_ec2_parse_error((const char *) data, size, code, sizeof(code), message, sizeof(message));
	if (strlen(code) >= sizeof(code) || strlen(message) >= sizeof(message) ||
		strpbrk(code, "<> \n") != NULL || strchr(message, '\n') != NULL)
		abort();
	return 0;
}
