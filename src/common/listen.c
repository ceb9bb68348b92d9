/*
 * listen.c
 *		The list of pgha.http.  An entry is written like a member's address, and read
 *		by the same code.
 *
 * For the server, which checks it, and for the agent, which goes by it.
 */
#include "listen.h"

#include <stdio.h>
#include <string.h>

#include "errors.h"

#define DEFAULT_PORT	8008

/* Is a port written behind the host of this entry? */
static bool
has_port(const char *entry, size_t length)
{
	const char *bracket = memchr(entry, ']', length);
	const char *from = bracket != NULL ? bracket : entry;

	return memchr(from, ':', length - (size_t) (from - entry)) != NULL;
}

static bool
is_there(const PghaListen *listen, const char *host, int port)
{
	for (int i = 0; i < listen->count; i++)
		if (listen->at[i].port == port && strcmp(listen->at[i].host, host) == 0)
			return true;
	return false;
}

bool
pgha_listen_parse(const char *list, PghaListen *listen, char *error, size_t error_size)
{
	memset(listen, 0, sizeof(*listen));
	list += strspn(list, " \t\r\n");
	while (*list != '\0')
	{
		size_t		length = strcspn(list, ",");
		char		entry[PGHA_HOST_SIZE + 32];
		PghaMembers one;
		int			port;

		if (listen->count == PGHA_MAX_LISTEN)
			return pgha_fail(error, error_size, "There are more than %d addresses.", PGHA_MAX_LISTEN);
		if (length > PGHA_HOST_SIZE || memchr(list, '=', length) != NULL || memchr(list, '/', length) != NULL)
			return pgha_fail(error, error_size, "\"%.*s\" is not an address: write \"host:port\".",
							 length > 64 ? 64 : (int) length, list);
		snprintf(entry, sizeof(entry), "http-%d=%.*s", listen->count + 1, (int) length, list);
		if (!pgha_members_parse(entry, &one, error, error_size))
			return false;
		port = has_port(list, length) ? one.member[0].port : DEFAULT_PORT;
		if (is_there(listen, one.member[0].host, port))
			return pgha_fail(error, error_size, "\"%.*s\" is listed twice.", (int) length, list);
		memcpy(listen->at[listen->count].host, one.member[0].host, PGHA_HOST_SIZE);
		listen->at[listen->count++].port = port;

		list += length;
		if (*list == ',' && *++list == '\0')
			return pgha_fail(error, error_size, "The list of addresses ends with a comma.");
		list += strspn(list, " \t\r\n");
	}
	return true;
}

bool
pgha_listen_tls_check(const char *cert, const char *key, char *error, size_t error_size)
{
	if ((*cert == '\0') != (*key == '\0'))
		return pgha_fail(error, error_size, "Only one of pgha.http_tls_cert and pgha.http_tls_key is set.");
	if (*cert != '\0' && (*cert != '/' || *key != '/'))
		return pgha_fail(error, error_size, "%s is not an absolute path.",
						 *cert != '/' ? "pgha.http_tls_cert" : "pgha.http_tls_key");
	return true;
}
