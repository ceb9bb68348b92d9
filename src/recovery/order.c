/*
 * order.c
 *		What a recovery is to do: by which method, for whom.
 *
 * The lowest room of a recovery: words and their values.
 */
#include "order.h"

#include <stddef.h>
#include <string.h>

static const char *const method_words[] = {"auto", "rejoin", "rewind", "clone", "start"};

bool
pgha_method_parse(const char *word, PghaMethod *method)
{
	for (size_t i = 0; i < sizeof(method_words) / sizeof(method_words[0]); i++)
	{
		if (strcmp(word, method_words[i]) == 0)
		{
			*method = (PghaMethod) i;
			return true;
		}
	}
	return false;
}

const char *
pgha_method_word(PghaMethod method)
{
	return method_words[method];
}
