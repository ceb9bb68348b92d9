/*
 * text.c
 *		Texts that came from outside, cut to a size without cutting a character.
 *
 * For what agents and pgpool send, and what the monitor publishes.  It never
 * raises an error for what is in a text.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "text.h"

void
PghaCopyText(char *to, const char *text, size_t size)
{
	int			length = pg_mbcliplen(text, strlen(text), size - 1);

	memcpy(to, text, length);
	to[length] = '\0';
}

void
PghaCopyShown(char *to, const char *text, size_t size, bool lines)
{
	PghaCopyText(to, text, size);
	for (; *to != '\0'; to++)
	{
		if (((unsigned char) *to < ' ' && !(lines && *to == '\n')) || *to == '\177')
			*to = ' ';
	}
}

char *
PghaClip(const char *text, int length)
{
	return pnstrdup(text, pg_mbcliplen(text, strlen(text), length));
}
