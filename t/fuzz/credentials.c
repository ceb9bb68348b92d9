/*
 * credentials.c
 *		Fuzzer: a role's credentials, in JSON, from the metadata service.
 */
#include "../../src/net/credentials.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_word(const char *word)
{
	for (; *word != '\0'; word++)
	{
		if (!isgraph((unsigned char) *word))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static PghaCredentials credentials;

	memset(&credentials, 0, sizeof(credentials));
	if (pgha_credentials_parse((const char *) data, size, &credentials))
	{
		/* They go into headers. */
		check_word(credentials.access_key_id);
		check_word(credentials.secret_access_key);
		check_word(credentials.session_token);
	}
	return 0;
}
