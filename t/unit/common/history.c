/*
 * history.c
 *		History files of timelines.
 */
#include "test.h"

#include "../../../src/common/report.h"

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
	ok(pgha_history_parse(text, 1000, &history) && history.count == PGHA_MAX_HISTORY, "longest history");
	snprintf(text + length, sizeof(text) - length, "999\t1/0\tx\n");
	ok(!pgha_history_parse(text, 1000, &history), "history too long");
}
