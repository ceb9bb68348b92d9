/*
 * pgpools.c
 *		The list of pgha.pgpool.  An entry is written like a member's address, and
 *		read by the same code.
 */
#include "pgpools.h"

#include <stdio.h>
#include <string.h>

#include "errors.h"

#define DEFAULT_PCP_PORT	9898

/* Is a port written behind the host of this entry? */
static bool
has_port(const char *entry, size_t length)
{
	const char *bracket = memchr(entry, ']', length);
	const char *from = bracket != NULL ? bracket : entry;

	return memchr(from, ':', length - (size_t) (from - entry)) != NULL;
}

bool
pgha_pgpools_parse(const char *list, PghaPgpools *pgpools, char *error, size_t error_size)
{
	memset(pgpools, 0, sizeof(*pgpools));
	list += strspn(list, " \t\r\n");
	while (*list != '\0')
	{
		size_t		length = strcspn(list, ",");
		char		entry[PGHA_HOST_SIZE + 32];
		PghaMembers one;

		if (pgpools->count == PGHA_MAX_PGPOOLS)
			return pgha_fail(error, error_size, "There are more than %d pgpools.", PGHA_MAX_PGPOOLS);
		if (length > PGHA_HOST_SIZE || memchr(list, '=', length) != NULL)
			return pgha_fail(error, error_size, "\"%.*s\" is not a pgpool: write \"host:port\".",
							 length > 64 ? 64 : (int) length, list);
		snprintf(entry, sizeof(entry), "pgpool-%d=%.*s", pgpools->count + 1, (int) length, list);
		if (!pgha_members_parse(entry, &one, error, error_size))
			return false;
		memcpy(pgpools->pgpool[pgpools->count].host, one.member[0].host, PGHA_HOST_SIZE);
		pgpools->pgpool[pgpools->count].port = has_port(list, length) ? one.member[0].port : DEFAULT_PCP_PORT;
		pgpools->count++;

		list += length;
		if (*list == ',' && *++list == '\0')
			return pgha_fail(error, error_size, "The list of pgpools ends with a comma.");
	}
	return true;
}
