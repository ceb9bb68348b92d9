/*
 * fields.c
 *		Lines of fields, and numbers.
 */
#include "test.h"

#include "../../../src/common/fields.h"

#include <string.h>

void
test_fields(void)
{
	static const char *const values[] = {"", "a", "", "tab\there", "line\nbreak\r", "back\\slash\\t", "", NULL};
	char		buffer[128];
	char		tiny[8];
	PghaLine	line;
	char	   *cursor;
	char	   *field;
	int			i;
	bool		same = true;

	pgha_line_init(&line, buffer, sizeof(buffer));
	for (i = 0; values[i] != NULL; i++)
		pgha_line_add(&line, values[i]);
	ok(!line.overflow && line.fields == i && line.length == strlen(buffer), "fields are written");
	ok(strpbrk(buffer, "\n\r") == NULL, "a line holds no line break");

	cursor = buffer;
	for (i = 0; (field = pgha_line_next(&cursor)) != NULL; i++)
		same = same && values[i] != NULL && strcmp(field, values[i]) == 0;
	ok(same && values[i] == NULL, "fields are read as written, empty ones too");

	pgha_line_init(&line, tiny, sizeof(tiny));
	pgha_line_add(&line, "abc");
	pgha_line_add(&line, "d\te");
	ok(line.overflow && strcmp(tiny, "abc") == 0, "a field that does not fit is left out");
	pgha_line_add(&line, "x");
	ok(line.overflow && strcmp(tiny, "abc") == 0, "... and so are those after it");
	pgha_line_init(&line, tiny, sizeof(tiny));
	pgha_line_add(&line, "1234567");
	ok(!line.overflow && line.length == 7, "a field may fill the buffer");
	pgha_line_add(&line, "");
	ok(line.overflow && strcmp(tiny, "1234567") == 0, "no room is left for a tab");
	pgha_line_init(&line, tiny, sizeof(tiny));
	pgha_line_addf(&line, "%s", "\t\t\t\t");
	ok(line.overflow && tiny[0] == '\0', "escapes count");
	pgha_line_init(&line, tiny, 0);
	pgha_line_add(&line, "");
	ok(line.overflow, "a buffer of no size");

	strcpy(buffer, "a\\qb\\");
	cursor = buffer;
	field = pgha_line_next(&cursor);
	ok(field != NULL && strcmp(field, "aqb\\") == 0 && pgha_line_next(&cursor) == NULL,
	   "odd escapes are taken literally");
	strcpy(buffer, "a\\\tb");
	cursor = buffer;
	field = pgha_line_next(&cursor);
	ok(field != NULL && strcmp(field, "a\\") == 0, "a backslash does not hide the end of a field");
}

void
test_numbers(void)
{
	static const char *const bad[] = {
		"", "-", "+1", " 1", "1 ", "0x1", "1.", "18446744073709551616", "99999999999999999999", NULL
	};
	uint64_t	u = 0;
	int64_t		i = 0;
	bool		refused = true;

	ok(pgha_parse_uint64("18446744073709551615", &u) && u == UINT64_MAX, "greatest uint64");
	ok(pgha_parse_int64("-9223372036854775808", &i) && i == INT64_MIN, "least int64");
	ok(pgha_parse_int64("9223372036854775807", &i) && i == INT64_MAX, "greatest int64");
	ok(!pgha_parse_int64("9223372036854775808", &i) && !pgha_parse_int64("-9223372036854775809", &i),
	   "int64 out of range");
	ok(!pgha_parse_int64("--1", &i) && !pgha_parse_uint64("-1", &u), "signs");
	for (int n = 0; bad[n] != NULL; n++)
		refused = refused && !pgha_parse_uint64(bad[n], &u) && !pgha_parse_int64(bad[n], &i);
	ok(refused, "what is not a number is refused");
}
