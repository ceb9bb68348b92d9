/*
 * why.c
 *		The core's reasons as sentences.
 *
 * For the monitor and for the SQL functions, which have a copy of what it knows.
 * The words themselves are in core/states.c.
 */
#include "postgres.h"

#include "../core/states.h"
#include "why.h"

void
PghaReasonText(const PghaNode *node, const PghaWhy *why, char *text, size_t size)
{
	const char *format = pgha_reason_text(why->reason);
	const char *place = strstr(format, "%s");
	const char *name = why->member != PGHA_NOBODY ? node->settings.name[why->member] : "(unknown)";

	if (place != NULL)
		snprintf(text, size, "%.*s%s%s", (int) (place - format), format, name, place + 2);
	else
		strlcpy(text, format, size);
	if (why->reason == PGHA_WHY_BARRED || why->reason == PGHA_WHY_TARGET_BARRED)
	{
		strlcat(text, ": ", size);
		strlcat(text, pgha_bar_text(why->bar), size);
	}
	else if (why->reason == PGHA_WHY_PASSIVE)
	{
		strlcat(text, ": ", size);
		strlcat(text, pgha_passive_text(why->passive), size);
	}
}
