/*
 * presence.c
 *		Tests of src/common/presence.c: who is told absent and returned, and how often.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "../../../src/common/presence.h"

#define SECOND	INT64_C(1000000)
#define LIMIT	(10 * SECOND)

static PghaPresence all[PGHA_PRESENCES];

static bool
is_news(const char *name, bool there, int64_t now)
{
	return pgha_presence_is_news(pgha_presence_of(all, name, now), there, LIMIT, now);
}

/* Absent from `from` on; after so many seconds it is told, and returns then. */
static int64_t
told_after(const char *name, int64_t from)
{
	for (int64_t now = from; now < from + 4000 * SECOND; now += SECOND)
	{
		if (is_news(name, false, now))
		{
			ok(is_news(name, true, now + SECOND) && !is_news(name, true, now + 2 * SECOND), "what was told absent is told returned, once");
			return (now - from) / SECOND;
		}
	}
	return -1;
}

void
test_presence(void)
{
	static const int after[] = {10, 10, 10, 20, 40, 80, 160, 320, 640, 640};
	int64_t		now = 1000 * SECOND;
	char		name[16];

	ok(!is_news("a", false, now) && !is_news("a", true, now + 9 * SECOND), "who is back in time is not told");
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++)
	{
		int64_t		waited = told_after("a", now);

		ok(waited == after[i], "absent for the time %zu: told after %lld s", i + 1, (long long) waited);
		now += (waited + 5) * SECOND;
	}
	ok(told_after("b", now) == 10, "another one is told as ever");
	ok(told_after("a", now + 3700 * SECOND) == 10, "and so is that one after an hour");

	memset(all, 0, sizeof(all));
	now = SECOND;
	(void) is_news("c", false, now);
	ok(is_news("c", false, now + LIMIT), "told absent");
	for (int i = 0; i < PGHA_MAX_MEMBERS; i++)
	{
		(void) snprintf(name, sizeof(name), "n%d", i);
		(void) is_news(name, true, now + 20 * SECOND);
	}
	ok(is_news("c", true, now + 30 * SECOND), "and returned after it was in no list for a while");
	for (int i = 0; i < 3 * PGHA_MAX_MEMBERS; i++)
	{
		(void) snprintf(name, sizeof(name), "m%d", i);
		(void) is_news(name, true, now + (40 + i) * SECOND);
	}
	ok(!pgha_presence_of(all, "c", now + 400 * SECOND)->seen, "the longest unused is forgotten");
}
