/*
 * command.c
 *		Command lines in the configuration, split into arguments without a shell.
 */
#include "command.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

/* Where the arguments are written; with `text` NULL they are only counted. */
typedef struct Output
{
	char	  **argv;
	char	   *text;
	size_t		arguments;
	size_t		length;
} Output;

static void
put_char(Output *out, char c)
{
	if (out->text != NULL)
		out->text[out->length] = c;
	out->length++;
}

static void
begin_argument(Output *out)
{
	if (out->argv != NULL)
		out->argv[out->arguments] = out->text + out->length;
	out->arguments++;
}

/* What %`letter` stands for, or NULL. */
static const char *
escape_value(const PghaEscape *escapes, char letter)
{
	if (letter == '%')
		return "%";
	for (; escapes->letter != 0; escapes++)
	{
		if (escapes->letter == letter)
			return escapes->value;
	}
	return NULL;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Both passes: with an empty Output it measures. */
static bool
split(const char *command, const PghaEscape *escapes, Output *out, char *error, size_t error_size)
{
	bool		within = false;
	char		quote = 0;

	for (const char *c = command; *c != '\0'; c++)
	{
		if (quote == 0 && is_blank(*c))
		{
			if (within)
				put_char(out, '\0');
			within = false;
			continue;
		}
		if (!within)
			begin_argument(out);
		within = true;

		if (quote == 0 && (*c == '\'' || *c == '"'))
			quote = *c;
		else if (*c == quote)
			quote = 0;
		else if (*c == '\\' && quote != '\'')
		{
			if (*++c == '\0')
				return pgha_fail(error, error_size, "a backslash is the last character");
			put_char(out, *c);
		}
		else if (*c == '%' && escapes != NULL)
		{
			const char *value = escape_value(escapes, c[1]);

			if (value == NULL)
				return pgha_fail(error, error_size, "\"%%%c\" stands for nothing; write %%%% for a percent sign",
								 c[1] != '\0' ? c[1] : ' ');
			for (c++; *value != '\0'; value++)
				put_char(out, *value);
		}
		else
			put_char(out, *c);
	}
	if (quote != 0)
		return pgha_fail(error, error_size, "a quote (%c) is not closed", quote);
	if (within)
		put_char(out, '\0');
	return true;
}

char	  **
pgha_command_split(const char *command, const PghaEscape *escapes,
				   char *error, size_t error_size)
{
	Output		size = {0};
	Output		out = {0};
	char	   *block;

	if (!split(command, escapes, &size, error, error_size))
		return NULL;
	block = malloc((size.arguments + 1) * sizeof(char *) + size.length);
	if (block == NULL)
	{
		pgha_fail(error, error_size, "out of memory");
		return NULL;
	}
	out.argv = (char **) block;
	out.text = block + (size.arguments + 1) * sizeof(char *);
	(void) split(command, escapes, &out, error, error_size);
	out.argv[out.arguments] = NULL;
	return out.argv;
}
