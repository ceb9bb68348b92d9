/*
 * setup_text.c
 *		The text of configuration files that set up a node, before it is written.
 *
 * For `pgha create`, `pgha join` and `pgha witness init`.  It quotes, and writes
 * whole files; it reads none, and knows nothing of what is in them.
 */
#include "setup_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../common/errors.h"
#include "../host/durable.h"

#define MAX_VALUE	4096
#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

void
pgha_text_put(PghaText *text, const char *format,...)
{
	va_list		args;

	if (!pgha_text_fits(text))
		return;
	va_start(args, format);
	text->length += (size_t) vsnprintf(text->text + text->length, sizeof(text->text) - text->length, format, args);
	va_end(args);
}

bool
pgha_text_fits(const PghaText *text)
{
	return text->length < sizeof(text->text);
}

static void
put_quoted(PghaText *text, const char *name, int name_length, const char *value)
{
	pgha_text_put(text, "%.*s = '", name_length, name);
	for (; *value != '\0'; value++)
		pgha_text_put(text, *value == '\'' || *value == '\\' ? "%c%c" : "%c", *value, *value);
	pgha_text_put(text, "'\n");
}

void
pgha_text_put_setting(PghaText *text, const char *name, const char *value)
{
	put_quoted(text, name, (int) strlen(name), value);
}

void
pgha_text_put_option(PghaText *text, const char *option)
{
	const char *equals = strchr(option, '=');

	put_quoted(text, option, (int) (equals - option), equals + 1);
}

void
pgha_text_put_password(PghaText *text, const char *user, const char *password)
{
	pgha_text_put(text, "*:*:*:%s:", user);
	for (const char *c = password; *c != '\0'; c++)
		pgha_text_put(text, *c == ':' || *c == '\\' ? "\\%c" : "%c", *c);
	pgha_text_put(text, "\n");
}

void
pgha_text_put_login(PghaText *text, const char *databases, const char *user, const char *host, size_t length)
{
	bool		numeric = strspn(host, "0123456789.") >= length || memchr(host, ':', length) != NULL;
	const char *mask = !numeric || memchr(host, '/', length) != NULL ? "" : memchr(host, ':', length) != NULL ? "/128" : "/32";

	pgha_text_put(text, "host %s \"%s\" %.*s%s scram-sha-256\n", databases, user, (int) length, host, mask);
}

void
pgha_text_put_logins(PghaText *text, const char *databases, const char *user, const char *list)
{
	while (*list != '\0')
	{
		size_t		length = strcspn(list, ", ");

		if (length > 0)
			pgha_text_put_login(text, databases, user, list, length);
		list += length + (list[length] != '\0');
	}
}

bool
pgha_login_list_valid(const char *list)
{
	return strspn(list, LETTERS_AND_DIGITS ".:/-_, ") == strlen(list);
}

bool
pgha_fits_a_line(const char *value)
{
	size_t		length = strlen(value);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char) value[i] < ' ' || value[i] == 127)
			return false;
	return length < MAX_VALUE;
}

bool
pgha_option_valid(const char *option)
{
	size_t		length = strspn(option, LETTERS_AND_DIGITS "_.");

	return length > 0 && option[length] == '=';
}

bool
pgha_text_write(const PghaText *text, const char *path, mode_t mode, char *error, size_t error_size)
{
	if (!pgha_text_fits(text))
		return pgha_fail(error, error_size, "file \"%s\" would become too long", path);
	return pgha_write_file(path, text->text, text->length, mode, true) ||
		pgha_fail(error, error_size, "could not write file \"%s\": %s", path, strerror(errno));
}
