/*
 * conninfo.c
 *		Connection strings between members, without libpq.
 *
 * The server checks pgha.conninfo with this and builds the connection strings
 * of its WAL receiver and its io children from it.  The syntax is that of
 * libpq's conninfo_parse(); whether a keyword is known to libpq is left to
 * libpq.  No message repeats a value: it may be a secret in the wrong place.
 */
#include "conninfo.h"
#include "errors.h"

#include <stdio.h>

static const char host_advice[] = "pgha takes each member's address from pgha.members";
static const char set_by_pgha[] = "pgha sets it itself";

static const char secret[] = "it would be seen in the settings and in the command lines of pg_rewind and pg_basebackup";

/*
 * Keywords that must not be in pgha.conninfo.  Of libpq's, all are here whose
 * value is a secret, those of later versions too; a test compares.
 */
static const struct
{
	const char *keyword;
	const char *advice;
}			refused[] =
{
	{"password", "put the password into a file and name it with \"passfile\""},
	{"sslpassword", "use a key file that needs no passphrase, readable by the server's user only"},
	{"oauth_client_secret", secret},
	{"scram_client_key", secret},
	{"scram_server_key", secret},
	{"host", host_advice},
	{"hostaddr", host_advice},
	{"port", host_advice},
	{"application_name", set_by_pgha},
	{"fallback_application_name", set_by_pgha},
	{"replication", set_by_pgha},
	{"options", set_by_pgha},
	{"service", "a service file may change addresses: write the options themselves"},
	{"servicefile", "a service file may change addresses: write the options themselves"},
	{"target_session_attrs", "pgha connects to members of either role"},
};

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Is text[0 .. length) the keyword?  Case is ignored: libpq would not know
 * "PASSWORD", but its complaint would come late and from elsewhere.
 */
static bool
is_keyword(const char *text, size_t length, const char *keyword)
{
	size_t		i;

	for (i = 0; i < length && keyword[i] != '\0'; i++)
	{
		char		c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char) (c - 'A' + 'a');
		if (c != keyword[i])
			return false;
	}
	return i == length && keyword[i] == '\0';
}

/* Skips a value; NULL with a sentence in `error` if it does not end properly. */
static const char *
skip_value(const char *p, int position, char *error, size_t error_size)
{
	bool		quoted = (*p == '\'');

	if (*p == '\0')
	{
		/* Would swallow what pgha appends. */
		pgha_fail(error, error_size, "The last value is missing: write '' for an empty one.");
		return NULL;
	}
	if (quoted)
		p++;
	for (;; p++)
	{
		if (*p == '\0' && !quoted)
			return p;
		if (*p == '\0')
		{
			pgha_fail(error, error_size,
				 "The quoted value that begins at character %d has no closing quote.", position);
			return NULL;
		}
		if (quoted && *p == '\'')
			return p + 1;
		if (!quoted && is_space(*p))
			return p;
		if (*p == '\\' && *++p == '\0')
		{
			/* libpq accepts it, but pgha appends to the text. */
			pgha_fail(error, error_size, "The text ends with a single backslash.");
			return NULL;
		}
	}
}

bool
pgha_conninfo_check(const char *shared, char *error, size_t error_size)
{
	const char *p = shared;

	if (strncmp(shared, "postgres://", 11) == 0 || strncmp(shared, "postgresql://", 13) == 0)
		return pgha_fail(error, error_size,
					"A URI cannot be used here: write \"keyword=value\" pairs.");

	for (;;)
	{
		const char *keyword;
		size_t		length;

		while (is_space(*p))
			p++;
		if (*p == '\0')
			break;

		keyword = p;
		while (*p != '\0' && *p != '=' && !is_space(*p))
			p++;
		length = (size_t) (p - keyword);
		while (is_space(*p))
			p++;
		if (*p != '=' || length == 0)
			return pgha_fail(error, error_size,
						"At character %d a \"keyword=value\" pair is expected; values with spaces stand in single quotes.",
						(int) (keyword - shared) + 1);

		for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
			if (is_keyword(keyword, length, refused[i].keyword))
				return pgha_fail(error, error_size, "\"%s\" must not be given: %s.",
							refused[i].keyword, refused[i].advice);

		p++;
		while (is_space(*p))
			p++;
		p = skip_value(p, (int) (p - shared) + 1, error, error_size);
		if (p == NULL)
			return false;
	}

	/* Leave room for what pgha_conninfo_build() adds. */
	if ((size_t) (p - shared) >= PGHA_CONNINFO_SIZE - PGHA_HOST_SIZE - PGHA_NAME_SIZE - 256)
		return pgha_fail(error, error_size, "The text is longer than %d characters.",
					PGHA_CONNINFO_SIZE - PGHA_HOST_SIZE - PGHA_NAME_SIZE - 256 - 1);
	return true;
}

/* Copies the value between `p` and `end` without its quotes and backslashes; false if it does not fit. */
static bool
copy_value(const char *p, const char *end, char *out, size_t size)
{
	size_t		length = 0;

	if (*p == '\'')
	{
		p++;
		end--;
	}
	for (; p < end; p++)
	{
		if (*p == '\\')
			p++;
		if (length + 1 >= size)
			return false;
		out[length++] = *p;
	}
	out[length] = '\0';
	return true;
}

bool
pgha_conninfo_get(const char *shared, const char *keyword, char *out, size_t size)
{
	const char *p = shared;
	bool		found = false;
	char		error[256];

	while (*(p += strspn(p, " \t\n\v\f\r")) != '\0')
	{
		const char *name = p;
		size_t		length = strcspn(p, "= \t\n\v\f\r");
		const char *end;

		p += length;
		p += strspn(p, " \t\n\v\f\r");
		if (*p != '=')
			return false;
		p++;
		p += strspn(p, " \t\n\v\f\r");
		end = skip_value(p, 0, error, sizeof(error));
		if (end == NULL)
			return false;
		if (is_keyword(name, length, keyword))
		{
			if (!copy_value(p, end, out, size))
				return false;
			found = true;
		}
		p = end;
	}
	return found;
}

/* Appends keyword='value' with quoting; false if it does not fit. */
static bool
append_pair(char *out, size_t size, size_t *length, const char *keyword, const char *value)
{
	int			written;

	written = snprintf(out + *length, size - *length, "%s%s='", *length > 0 ? " " : "", keyword);
	if (written < 0 || (size_t) written >= size - *length)
		return false;
	*length += (size_t) written;

	/* Every turn leaves room for the closing quote and the terminator. */
	for (; *value != '\0'; value++)
	{
		bool		escape = (*value == '\'' || *value == '\\');

		if (size - *length < (escape ? 4 : 3))
			return false;
		if (escape)
			out[(*length)++] = '\\';
		out[(*length)++] = *value;
	}
	if (size - *length < 2)
		return false;
	out[(*length)++] = '\'';
	out[*length] = '\0';
	return true;
}

bool
pgha_conninfo_add(char *out, size_t size, const char *keyword, const char *value)
{
	size_t		length = strlen(out);

	return append_pair(out, size, &length, keyword, value);
}

bool
pgha_conninfo_build(char *out, size_t size, const char *shared,
					const PghaAddress *address, const char *application_name,
					const char *extra)
{
	char		port[16];
	size_t		length = 0;
	size_t		shared_length;

	while (is_space(*shared))
		shared++;
	shared_length = strlen(shared);
	if (shared_length >= size)
		return false;
	memcpy(out, shared, shared_length + 1);
	length = shared_length;

	(void) snprintf(port, sizeof(port), "%d", address->port);
	if (!append_pair(out, size, &length, "host", address->host) ||
		!append_pair(out, size, &length, "port", port) ||
		!append_pair(out, size, &length, "application_name", application_name))
		return false;

	if (extra != NULL && *extra != '\0')
	{
		int			written = snprintf(out + length, size - length, " %s", extra);

		if (written < 0 || (size_t) written >= size - length)
			return false;
	}
	return true;
}
