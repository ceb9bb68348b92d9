/*
 * members.c
 *		pgha.members.
 */
#include "test.h"

#include "../../../src/common/errors.h"
#include "../../../src/common/members.h"

#include <stdio.h>
#include <string.h>

/* What must not reach a terminal does not. */
static void
test_shown(void)
{
	static const char *const cases[][2] = {
		{"plain, \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98", "plain, \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x98"},
		{"a\033[2Jb\177\001", "a?[2Jb??"},
		{"a\xc2\x9b" "2J\xc2\x85", "a?2J?"},
		{"a\x9b" "b\xff\xc3", "a?b?"},	/* what is cut off at the end goes */
		{"\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\xd8\x9cx", "????x"},
		{"\xc0\x9b\xed\xa0\x80\xe0\x80\x9b", "????????"},
		{"a\tb\nc", "a b c"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		text[64];

		(void) strcpy(text, cases[i][0]);
		ok(strcmp(pgha_shown(text, false), cases[i][1]) == 0, "shown %zu: %s", i, text);
	}
}

/* What is written is what was parsed; lists are compared without one of them. */
static void
test_written(void)
{
	static const struct
	{
		const char *one;
		const char *two;
		bool		same;
	}			cases[] = {
		{"a=h:1, b=h:2", "a=h:1, b=h:2", true},
		{"a=h:1, b=h:2", "a=h:1, b=h:2, x=h:3", true},
		{"a=h:1, x=h:4, b=h:2", "a=h:1, b=H:2, x=h:3", true},
		{"x=h:3", "", true},
		{"a=h:1, b=h:2", "b=h:2, a=h:1", false},
		{"a=h:1, b=h:2", "a=h:1, b=h:3, x=h:4", false},
		{"a=h:1, b=h:2", "a=h:1, x=h:3", false},
		{"a=h:1", "a=h:1, b=h:2", false},
	};
	PghaMembers members;
	PghaMembers other;
	char		text[PGHA_LIST_SIZE];
	char		error[256];

	ok(pgha_members_parse("a = h, b=[fd00::1%eth0]:1", &members, error, sizeof(error)) &&
	   pgha_witnesses_parse("w=x:2", &members, error, sizeof(error)), "a list to be written");
	pgha_members_write(&members, 0, members.count, text);
	ok(strcmp(text, "a=h:5432, b=[fd00::1%eth0]:1") == 0, "members written: %s", text);
	pgha_members_write(&members, members.count, members.voters, text);
	ok(strcmp(text, "w=x:2") == 0, "witnesses written: %s", text);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		(void) pgha_members_parse(cases[i].one, &members, error, sizeof(error));
		(void) pgha_members_parse(cases[i].two, &other, error, sizeof(error));
		ok(pgha_members_same_without(&members, &other, "x") == cases[i].same, "without x: %s / %s", cases[i].one, cases[i].two);
		ok(pgha_members_same_without(&other, &members, "x") == cases[i].same, "... and the other way round");
	}
}

/* Witnesses stand behind the members, and are no members. */
static void
test_witnesses(void)
{
	static const struct
	{
		const char *members;
		const char *witnesses;
		const char *complaint;
	}			cases[] = {
		{"a=h1,b=h2", "", NULL},
		{"a=h1,b=h2", "w=h3", NULL},
		{"a=h1,b=h2", "w=h3, v=h4:5433", NULL},
		{"a=h1,b=h2", "b=h3", "is one of pgha.members and of pgha.witnesses"},
		{"a=h1,b=h2", "w=h3,w=h4", "Witness \"w\" is listed twice"},
		{"a=h1,b=h2", "w=h2", "has the address of \"b\""},
		{"a=h1,b=h2", "B=h3", "case and punctuation"},
		{"a=h1,b=h2", "w", "write \"name=host:port\""},
		{"a=h1,b=h2", ",w=h3", "comma"},
		{"a=h1,b=h2,c=h3,d=h4,e=h5,f=h6,g=h7,h=h8,i=h9,j=h10,k=h11,l=h12,m=h13,n=h14,o=h15", "p=h16", NULL},
		{"a=h1,b=h2,c=h3,d=h4,e=h5,f=h6,g=h7,h=h8,i=h9,j=h10,k=h11,l=h12,m=h13,n=h14,o=h15", "p=h16,q=h17", "more than 16 members and witnesses"},
	};
	PghaMembers members;
	char		error[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		accepted;

		error[0] = '\0';
		accepted = pgha_members_parse(cases[i].members, &members, error, sizeof(error)) &&
			pgha_witnesses_parse(cases[i].witnesses, &members, error, sizeof(error));
		if (cases[i].complaint == NULL)
			ok(accepted, "witnesses %.40s: accepted %s", cases[i].witnesses, error);
		else
			ok(!accepted && strstr(error, cases[i].complaint) != NULL && error[strlen(error) - 1] == '.',
			   "witnesses %.40s: %s", cases[i].witnesses, error);
	}
	ok(pgha_members_parse("a=h1,b=h2", &members, error, sizeof(error)) &&
	   pgha_witnesses_parse("w=h3:5433", &members, error, sizeof(error)) &&
	   members.count == 2 && members.voters == 3 && members.member[2].port == 5433 &&
	   pgha_voters_find(&members, "w") == 2 && pgha_members_find(&members, "w") == PGHA_NOBODY,
	   "a witness stands behind the members, and is none");
}

void
test_members(void)
{
	static const struct
	{
		const char *text;
		const char *complaint;	/* part of it; NULL: is accepted */
	}			cases[] =
	{
		{"", NULL},
		{" \t\n", NULL},
		{"a=h", NULL},
		{"a=h:5432,b=h:5433", NULL},
		{" db-1 = 10.0.3.21:5432 ,\n\tdb_2=[fd00::1%eth0]:6000, db.3=[::1]", NULL},
		{",", "comma"},
		{"a=h,", "comma"},
		{"a=h,,b=i", "comma"},
		{"a", "not a member"},
		{"a=h b=i", "host name"},
		{"=h", "no name"},
		{"a=", "no address"},
		{"a=:5432", "no address"},
		{"a=h:", "Port"},
		{"a=h:0", "Port"},
		{"a=h:65536", "Port"},
		{"a=h:-1", "Port"},
		{"a=h: 1", "Port"},
		{"a=h:999999", "Port"},
		{"a=fd00::1", "brackets"},
		{"a=[fd00::1", "IPv6"},
		{"a=[fd00::1]5432", "IPv6"},
		{"a=[]:5432", "no address"},
		{"a=/tmp", "host name"},
		{"a=h'x", "host name"},
		{"a b=h", "other characters"},
		{"a$(id)=h", "other characters"},
		{"a`id`=h", "other characters"},
		{"a\"b=h", "other characters"},
		{"a'b=h", "other characters"},
		{"a;b=h", "other characters"},
		{"a|b=h", "other characters"},
		{"a\\b=h", "other characters"},
		{"a\nb=h", "other characters"},
		{"a\xe2\x80\xae" "b=h", "other characters"},
		{"a\033[2J=h", "other characters"},
		{"-a=h", "begins with"},
		{"a=-h", "host name"},
		{"a\xc3\xa4=h", "other characters"},
		{"a=h,a=i", "twice"},
		{"a=h,b=H:5432", "same address"},
		{"a=h,A=i", "slot"},
		{"a-b=h,a_b=i", "slot"},
		{"a123456789012345678901234567890123456789012345678901234567=h", NULL},
		{"a1234567890123456789012345678901234567890123456789012345678=h", "longer"},
		{"a=h1,b=h2,c=h3,d=h4,e=h5,f=h6,g=h7,h=h8,i=h9,j=h10,k=h11,l=h12,m=h13,n=h14,o=h15,p=h16", NULL},
		{"a=h1,b=h2,c=h3,d=h4,e=h5,f=h6,g=h7,h=h8,i=h9,j=h10,k=h11,l=h12,m=h13,n=h14,o=h15,p=h16,q=h17", "more than 16"},
	};
	PghaMembers members;
	char		error[256];
	char		slot[64];
	char		host[300];
	char		text[320];

	test_shown();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		accepted;

		error[0] = '\0';
		accepted = pgha_members_parse(cases[i].text, &members, error, sizeof(error));
		if (cases[i].complaint == NULL)
			ok(accepted, "members %.40s: accepted %s", cases[i].text[0] > ' ' ? cases[i].text : "blank", error);
		else
			ok(!accepted && strstr(error, cases[i].complaint) != NULL && error[strlen(error) - 1] == '.',
			   "members %.40s: %s", cases[i].text, error);
	}

	ok(pgha_members_parse(" db-1 = 10.0.3.21:5433 , db_2=[fd00::1]", &members, error, sizeof(error)) &&
	   members.count == 2 &&
	   strcmp(members.member[0].name, "db-1") == 0 && strcmp(members.member[0].host, "10.0.3.21") == 0 &&
	   members.member[0].port == 5433 &&
	   strcmp(members.member[1].host, "fd00::1") == 0 && members.member[1].port == 5432,
	   "names, hosts and ports");
	ok(pgha_members_find(&members, "db_2") == 1 && pgha_members_find(&members, "DB_2") == PGHA_NOBODY,
	   "members are found by name");

	test_witnesses();
	test_written();

	memset(host, 'h', sizeof(host));
	host[PGHA_HOST_SIZE - 1] = '\0';
	snprintf(text, sizeof(text), "a=%s", host);
	ok(pgha_members_parse(text, &members, error, sizeof(error)), "longest host");
	host[PGHA_HOST_SIZE - 1] = 'h';
	host[PGHA_HOST_SIZE] = '\0';
	snprintf(text, sizeof(text), "a=%s", host);
	ok(!pgha_members_parse(text, &members, error, sizeof(error)), "host too long");
	ok(!pgha_members_parse("a", &members, error, 5) && strlen(error) == 4, "short error buffer");

	pgha_slot_name("Db-1.East", slot);
	ok(strcmp(slot, "pgha_db_1_east") == 0, "slot name");
	pgha_slot_name("a123456789012345678901234567890123456789012345678901234567", slot);
	ok(strlen(slot) == 63, "longest slot name");
}
