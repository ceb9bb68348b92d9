/*
 * metadata.c
 *		Fuzzer: lists of the metadata service, and subnets in them.
 */
#include "../../src/net/cidr.h"
#include "../../src/net/imds.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size + 1);
	const char *cursor = text;
	char		word[64];

	memcpy(text, data, size);
	text[size] = '\0';
	while (pgha_imds_next(&cursor, word, sizeof(word)))
	{
		const char *slash = strchr(word, '/');
		char		base[sizeof(word)];

		if (word[0] == '\0' || strpbrk(word, " \r\n") != NULL || cursor > text + strlen(text))
			abort();
		(void) pgha_cidr_contains(word, "10.0.3.10");
		(void) pgha_cidr_contains(word, "fd00::1");
		(void) pgha_cidr_contains("10.0.0.0/9", word);
		/* A subnet contains the address that it is written with. */
		if (slash != NULL && (pgha_cidr_contains(word, "10.0.3.10") || pgha_cidr_contains(word, "fd00::1")))
		{
			memcpy(base, word, (size_t) (slash - word));
			base[slash - word] = '\0';
			if (!pgha_cidr_contains(word, base))
				abort();
		}
	}
	free(text);
	return 0;
}
