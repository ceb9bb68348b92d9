/*
 * history.c
 *		History files of timelines.
 */
#include "test.h"

#include "../../../src/common/report.h"
#include "../../../src/core/claim.h"

#include <stdio.h>
#include <stdlib.h>

void
test_history(void)
{
	static const struct
	{
		const char *text;
		uint32_t	timeline;
		int			count;		/* -1: refused */
	}			cases[] =
	{
		{"1\t0/50274F0\tno recovery target specified\n", 5, 1},
		{"1\t0/50274F0\tno recovery target specified\n\n5\t0/6000000\tx\n", 9, 2},
		{"# comment\n\n 1 0/50274F0\tx\n# pgha placeholder\n", 2, 1},
		{"1\t0/5\tx\n2\t0/5\tx\n", 3, 2},
		{"", 1, 0},
		{"", 2, -1},
		{"# only a comment\n", 2, -1},
		{"1\t0/50274F0\tx\n5\t0/5015E48\tx\n", 9, -1},
		{"1\t0/5\tx\n1\t0/6\tx\n", 9, -1},
		{"2\t0/5\tx\n1\t0/6\tx\n", 9, -1},
		{"5\t0/5\tx\n", 5, -1},
		{"6\t0/5\tx\n", 5, -1},
		{"0\t0/5\tx\n", 5, -1},
		{"1", 5, -1},
		{"1\t", 5, -1},
		{"1\t0", 5, -1},
		{"1\t0/", 5, -1},
		{"1\t0/50", 5, -1},
		{"1\t0/50\n", 5, 1},
		{"1\t/50\tx\n", 5, -1},
		{"1\t0/500000000\tx\n", 5, -1},
		{"1\t0/5g\tx\n", 5, -1},
		{"4294967296\t0/5\tx\n", 5, -1},
		{"99999999999999999999999\t0/5\tx\n", 5, -1},
		{"foo bar\n", 5, -1},
		{"-1\t0/5\tx\n", 5, -1},
	};
	PghaHistory history;
	char		text[PGHA_LINE_SIZE];
	size_t		length = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char	   *exact = copy(cases[i].text);
		bool		accepted = pgha_history_parse(exact, cases[i].timeline, &history);

		ok(accepted == (cases[i].count >= 0) && (!accepted || history.count == cases[i].count),
		   "history %zu of timeline %u: %s", i + 1, cases[i].timeline, accepted ? "accepted" : "refused");
		free(exact);
	}

	ok(pgha_history_parse("1\t0/50274F0\tx\n5\tA/6000000\tx\n", 9, &history) && history.timeline == 9 &&
	   history.entry[0].timeline == 1 && history.entry[0].end == UINT64_C(0x50274F0) &&
	   history.entry[1].timeline == 5 && history.entry[1].end == UINT64_C(0xA06000000),
	   "timelines and LSNs");

	for (int i = 1; i <= PGHA_MAX_HISTORY; i++)
		length += (size_t) snprintf(text + length, sizeof(text) - length, "%d\t0/%X\tx\n", i, i);
	ok(pgha_history_parse(text, 2000, &history) && history.count == PGHA_MAX_HISTORY && !history.shortened,
	   "longest history that is kept as a whole");
	snprintf(text + length, sizeof(text) - length, "1999\t1/0\tx\n");
	ok(pgha_history_parse(text, 2000, &history) && history.count == PGHA_MAX_HISTORY && history.shortened &&
	   history.entry[0].timeline == 2 && history.entry[PGHA_MAX_HISTORY - 1].timeline == 1999,
	   "longer history: the youngest are kept");
	ok(pgha_history_contains(&history, 1999, UINT64_C(0x100000000)) == PGHA_YES &&
	   pgha_history_contains(&history, 1999, UINT64_C(0x100000001)) == PGHA_NO &&
	   pgha_history_contains(&history, 1998, 1) == PGHA_NO &&
	   pgha_history_contains(&history, 1, 1) == PGHA_NOT_KNOWN &&
	   pgha_history_contains(&history, 1, 3) == PGHA_NO,
	   "... and of the older ones it is not known what they say");
	ok(pgha_history_parse(PGHA_HISTORY_SHORTENED "7\t0/5\tx\n", 9, &history) && history.shortened &&
	   history.count == 1, "a history that was shortened on the way");
}
