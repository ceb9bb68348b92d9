/*
 * profile.c
 *		Fuzzer: the shared credentials and config files.
 */
#include "../../src/net/credentials.h"

#include <stdlib.h>
#include <string.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sections[] = {"default", "profile a", ""};
	char	   *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
	{
		char		value[16];

		if (pgha_profile_value(text, sections[i], "region", value, sizeof(value)) &&
			(value[0] == '\0' || strlen(value) >= sizeof(value) || strchr(value, '\n') != NULL))
			abort();
	}
	free(text);
	return 0;
}
