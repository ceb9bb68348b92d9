/*
 * history.c
 *		The history of timelines, as Patroni shows it.
 *
 * It is PostgreSQL's own history file, line by line.  For the thread that reads it
 * from the server, whenever the timeline has changed.
 */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "../common/lsn.h"
#include "../common/text.h"

static json_t *
entry_of(const char *line, size_t length, const json_t *times)
{
	char		text[512];
	char		next[24];
	char	   *cursor;
	const char *at;
	const char *reason;
	long		timeline;
	uint64_t	lsn;
	json_t	   *entry;

	(void) snprintf(text, sizeof(text), "%.*s", length < sizeof(text) ? (int) length : (int) sizeof(text) - 1, line);
	timeline = strtol(text, &cursor, 10);
	if (cursor == text || timeline <= 0)
		return NULL;
	at = cursor + strspn(cursor, " \t");
	if (!pgha_lsn_take(&at, &lsn))
		return NULL;
	reason = at + strspn(at, " \t");
	cursor = text + (reason - text);
	pgha_text_clean(cursor);
	(void) snprintf(next, sizeof(next), "%ld", timeline + 1);
	entry = json_pack("[I, I, s]", (json_int_t) timeline, (json_int_t) lsn, reason);
	if (entry != NULL && json_object_get(times, next) != NULL)
		(void) json_array_append(entry, json_object_get(times, next));
	return entry;
}

json_t *
pgha_history_json(const char *text, const char *times_text)
{
	json_t	   *times = json_loads(times_text, 0, NULL);
	json_t	   *history = json_array();

	while (*text != '\0')
	{
		size_t		length = strcspn(text, "\n");
		json_t	   *entry = entry_of(text, length, times);

		if (entry != NULL)
			(void) json_array_append_new(history, entry);
		text += length + (text[length] == '\n');
	}
	json_decref(times);
	return history;
}
