/*
 * presence.c
 *		Who is there, and when it is news that somebody is not, or is again.
 *
 * For the monitor (server/monitor/absent.c).  Each has an entry by its name, so that a
 * list that changes its order, or loses a name and gets it back, changes nothing.  It
 * reads no clock, and tells nobody.
 */
#include "presence.h"

#include <stdio.h>
#include <string.h>

/* So often the limit is what it is; then it doubles each time, but so often only. */
#define FREE_TIMES		3
#define DOUBLES			6
/* Who was told absent so long ago begins anew. */
#define FORGOTTEN_AFTER	(INT64_C(3600) * 1000000)

PghaPresence *
pgha_presence_of(PghaPresence *all, const char *name, int64_t now)
{
	PghaPresence *entry = &all[0];

	for (int i = 0; i < PGHA_PRESENCES; i++)
	{
		if (strcmp(all[i].name, name) == 0)
		{
			all[i].looked_at = now;
			return &all[i];
		}
		if (entry->name[0] != '\0' && (all[i].name[0] == '\0' || all[i].looked_at < entry->looked_at))
			entry = &all[i];
	}
	memset(entry, 0, sizeof(*entry));
	(void) snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->looked_at = now;
	return entry;
}

bool
pgha_presence_is_news(PghaPresence *presence, bool there, int64_t limit, int64_t now)
{
	if (there)
	{
		bool		back = presence->told;

		presence->seen = true;
		presence->told = false;
		presence->absent_since = 0;
		return back;
	}
	if (presence->absent_since == 0)
		presence->absent_since = now;
	if (presence->told)
		return false;
	if (presence->times > 0 && now - presence->told_at > FORGOTTEN_AFTER)
		presence->times = 0;
	for (int i = FREE_TIMES; i <= presence->times && i < FREE_TIMES + DOUBLES; i++)
		limit *= 2;
	if (now - presence->absent_since < limit)
		return false;
	presence->told = true;
	presence->waited = limit;
	presence->times++;
	presence->told_at = now;
	return true;
}
