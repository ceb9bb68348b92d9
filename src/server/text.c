/*
 * text.c
 *		Texts that came from outside, cut to a size without cutting a character.
 *
 * For what agents and pgpool send, and what the monitor publishes.  It never
 * raises an error for what is in a text.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "../common/errors.h"
#include "text.h"

void
PghaCopyText(char *to, const char *text, size_t size)
{
	int			length = pg_mbcliplen(text, strlen(text), size - 1);

	memcpy(to, text, length);
	to[length] = '\0';
}

/*
 * In a database of another encoding than UTF-8 what is not ASCII cannot be told
 * from what harms a terminal.  One without an encoding holds what programs have
 * written, which is UTF-8 or damaged.
 */
void
PghaCleanShown(char *text, bool lines)
{
	if (GetDatabaseEncoding() != PG_UTF8 && GetDatabaseEncoding() != PG_SQL_ASCII)
	{
		for (char *c = text; *c != '\0'; c++)
		{
			if (IS_HIGHBIT_SET(*c))
				*c = '?';
		}
	}
	(void) pgha_shown(text, lines);
}

void
PghaCopyShown(char *to, const char *text, size_t size, bool lines)
{
	PghaCopyText(to, text, size);
	PghaCleanShown(to, lines);
}

char *
PghaClip(const char *text, int length)
{
	char	   *clipped = pnstrdup(text, pg_mbcliplen(text, strlen(text), length));

	PghaCleanShown(clipped, false);
	return clipped;
}
