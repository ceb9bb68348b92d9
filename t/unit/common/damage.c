/*
 * damage.c
 *		Damaged and random text for all parsers.
 */
#include "test.h"

#include "sample.h"
#include "../../../src/common/address_spec.h"
#include "../../../src/common/conninfo.h"
#include "../../../src/common/fields.h"
#include "../../../src/common/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Flips, drops, doubles and inserts some characters. */
static char *
damage(const char *text)
{
	size_t		length = strlen(text);
	char	   *result = malloc(length + 16);
	int			changes = 1 + (int) random_below(4);

	strcpy(result, text);
	while (changes-- > 0 && length > 0)
	{
		size_t		at = random_below(length);

		switch (random_below(4))
		{
			case 0:
				result[at] = (char) random_number();
				break;
			case 1:
				memmove(result + at, result + at + 1, length - at);
				break;
			case 2:
				memmove(result + at + 1, result + at, length - at + 1);
				break;
			case 3:
				result[at] = "\t\\\n=,:/'[] "[random_below(11)];
				break;
		}
		result[length + 1] = '\0';
		length = strlen(result);
	}
	return result;
}

static char *
random_text(void)
{
	size_t		length = random_below(200);
	char	   *result = malloc(length + 1);

	for (size_t i = 0; i < length; i++)
		result[i] = (char) (1 + random_below(255));
	result[length] = '\0';
	return result;
}

static bool
printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static void
feed(const char *text)
{
	PghaReport	report;
	Records		records;
	PghaHistory history;
	PghaMembers members;
	PghaAddressSpec address;
	PghaAddressSpec again;
	char		written[PGHA_ADDRESS_TEXT_SIZE];
	char		error[256];
	char	   *exact = copy(text);
	char	   *cursor = exact;
	char	   *field;
	size_t		taken = 0;
	size_t		given = strlen(text);

	if (parses(text, &report, &records))
	{
		if (!printable(report.node) || !printable(report.claim.leader) || !printable(report.upstream))
			ok(false, "unprintable name");
	}
	if (records.count > 0 && (!printable(records.last.what) || !printable(records.last.kind)))
		ok(false, "unprintable record");

	(void) pgha_history_parse(text, (uint32_t) random_below(10), &history);

	while ((field = pgha_line_next(&cursor)) != NULL)
		taken += strlen(field) + 1;
	if (taken > given + 1)
		ok(false, "fields are longer than the line");
	free(exact);

	exact = copy(text);
	if (!pgha_members_parse(exact, &members, error, sizeof(error)) && !printable(error))
		ok(false, "unprintable sentence about members");
	if (!pgha_conninfo_check(exact, error, sizeof(error)) && !printable(error))
		ok(false, "unprintable sentence about a connection string");
	if (!pgha_address_spec_parse(exact, &address, error, sizeof(error)))
	{
		if (!printable(error))
			ok(false, "unprintable sentence about an address");
	}
	else if (!pgha_address_spec_format(&address, written, sizeof(written)) ||
			 !pgha_address_spec_parse(written, &again, error, sizeof(error)) || memcmp(&address, &again, sizeof(again)) != 0)
		ok(false, "address \"%s\" does not survive being written", exact);
	free(exact);
}

void
test_damage(uint64_t seed, long rounds)
{
	static const char *const seeds[] = {
		"1\t0/50274F0\tno recovery target specified\n5\t0/6000000\tx\n",
		"db-1=10.0.3.21:5432, db-2=[fd00::1]:5432,db-3=h",
		"user='p g\\'h a' passfile=/x sslmode=require",
		"ec2-route:10.9.0.1/32@rtb-a,rtb-b",
		"local:[fd00::10]/64@eth0",
	};
	char	   *report = report_text();

	printf("# seed %llu, %ld rounds\n", (unsigned long long) seed, rounds);
	random_begin(seed);
	for (long i = 0; i < rounds; i++)
	{
		char	   *text = NULL;

		switch (random_below(6))
		{
			case 0:
				text = random_text();
				break;
			case 1:
			case 2:
				text = damage(report);
				break;
			default:
				text = damage(seeds[random_below(sizeof(seeds) / sizeof(seeds[0]))]);
				break;
		}
		feed(text);
		free(text);
	}
	ok(true, "survived damaged text");

	/* What is written can always be read back. */
	for (long i = 0; i < rounds / 4; i++)
	{
		char	   *values[8];
		int			count = 1 + (int) random_below(8);
		char		buffer[4096];
		char	   *cursor = buffer;
		PghaLine	line;

		pgha_line_init(&line, buffer, sizeof(buffer));
		for (int n = 0; n < count; n++)
		{
			values[n] = random_text();
			pgha_line_add(&line, values[n]);
		}
		for (int n = 0; n < count; n++)
		{
			char	   *field = pgha_line_next(&cursor);

			if (field == NULL || strcmp(field, values[n]) != 0)
				ok(false, "field %d of %d in round %ld", n, count, i);
			free(values[n]);
		}
		if (line.overflow || cursor != NULL)
			ok(false, "round %ld", i);
	}
	ok(true, "random fields round trip");
	free(report);
}
