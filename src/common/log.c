/*
 * log.c
 *		What the program says: errors, and texts of others.
 *
 * The one way to a terminal (the agent's log is agent_log.c): everything is
 * cleaned on it (errors.h), whoever has made it.
 *
 * In the server it is dead code: that has a log of its own.
 */
#include "log.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"

/* Longer than three paths. */
#define LINE_SIZE	16384

void
pgha_put_line(FILE *out, const char *beginning, const char *format, va_list args)
{
	char		text[LINE_SIZE];

	(void) vsnprintf(text, sizeof(text), format, args);
	fprintf(out, "%s%s\n", beginning, pgha_shown(text, false));
}

void
pgha_error(FILE *out, const char *hint, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	pgha_put_line(out, "pgha: error: ", format, args);
	va_end(args);
	if (hint != NULL)
		fprintf(out, "HINT:  %s\n", hint);
}

void
pgha_note(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	pgha_put_line(stderr, "pgha: ", format, args);
	va_end(args);
}

void
pgha_put(const char *text, FILE *out)
{
	char	   *copy = strdup(text);

	fputs(copy != NULL ? pgha_shown(copy, true) : "out of memory\n", out);
	free(copy);
}
