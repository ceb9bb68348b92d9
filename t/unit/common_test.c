/*
 * common_test.c
 *		Unit tests of src/common: TAP on stdout, exit code 1 if one failed.
 *
 * usage: common_test [SEED [ROUNDS]]
 *
 * The last tests feed damaged and random text to the parsers.  They print the
 * seed, and are meant to be run with -fsanitize=address,undefined: texts are in
 * buffers of their exact size, so that a read past the end is seen.
 */
#include "../../src/common/address_spec.h"
#include "../../src/common/conninfo.h"
#include "../../src/common/fields.h"
#include "../../src/common/members.h"
#include "../../src/common/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static int	tests;
static int	failures;

static void ok(bool passed, const char *format,...)
			__attribute__((format(printf, 2, 3)));

static void
ok(bool passed, const char *format,...)
{
	va_list		args;

	printf("%sok %d - ", passed ? "" : "not ", ++tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	if (!passed)
		failures++;
}

/* splitmix64: the same numbers everywhere for a seed. */
static uint64_t random_state;

static uint64_t
random_number(void)
{
	uint64_t	z = (random_state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static uint64_t
random_below(uint64_t limit)
{
	return random_number() % limit;
}

static char *
copy(const char *text)
{
	size_t		size = strlen(text) + 1;
	char	   *result = malloc(size);

	if (result == NULL)
		abort();
	memcpy(result, text, size);
	return result;
}

/* ---- fields ---- */

static void
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

static void
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

/* ---- members ---- */

static void
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

/* ---- connection strings ---- */

static void
test_conninfo(void)
{
	static const struct
	{
		const char *text;
		const char *complaint;
	}			cases[] =
	{
		{"", NULL},
		{"  ", NULL},
		{"user=pgha dbname=postgres", NULL},
		{"user = 'p g h a'passfile='/tmp/it''s'", "expected"},
		{"user = 'p g h a'passfile='/tmp/it\\'s'  sslmode=\\'x", NULL},
		{"user=''", NULL},
		{"user=", "missing"},
		{"user= ", "missing"},
		{"user", "At character 1 "},
		{"user=a secret", "At character 8 "},
		{"=x", "expected"},
		{"user='secret", "closing quote"},
		{"user='secret\\", "backslash"},
		{"user=secret\\", "backslash"},
		{"password=secret", "passfile"},
		{"user=x PASSWORD = 'secret'", "passfile"},
		{"host=h", "pgha.members"},
		{"hostaddr=h", "pgha.members"},
		{"port=1", "pgha.members"},
		{"application_name=x", "itself"},
		{"fallback_application_name=x", "itself"},
		{"replication=true", "itself"},
		{"options='-c x=y'", "itself"},
		{"service=x", "service"},
		{"target_session_attrs=any", "role"},
		{"passfile=password=x", NULL},
		{"postgres://u@h/", "URI"},
		{"postgresql://u:secret@h/", "URI"},
	};
	PghaAddress address = {"db-1", "fd00::1", 5433};
	char		error[256];
	char		out[PGHA_CONNINFO_SIZE];
	char	   *longest = malloc(PGHA_CONNINFO_SIZE + 1);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		accepted;

		error[0] = '\0';
		accepted = pgha_conninfo_check(cases[i].text, error, sizeof(error));
		if (cases[i].complaint == NULL)
			ok(accepted, "conninfo {%s} accepted %s", cases[i].text, error);
		else
			ok(!accepted && strstr(error, cases[i].complaint) != NULL && strstr(error, "secret") == NULL,
			   "conninfo {%s}: %s", cases[i].text, error);
	}

	ok(pgha_conninfo_build(out, sizeof(out), " user=x", &address, "it's\\", "replication=true") &&
	   strcmp(out, "user=x host='fd00::1' port='5433' application_name='it\\'s\\\\' replication=true") == 0,
	   "build: %s", out);
	ok(pgha_conninfo_build(out, sizeof(out), "", &address, "n", NULL) &&
	   strcmp(out, "host='fd00::1' port='5433' application_name='n'") == 0,
	   "build without options");
	for (size_t size = strlen(out) + 1; size > 0; size--)
	{
		char	   *exact = malloc(size);
		bool		fits = pgha_conninfo_build(exact, size, "", &address, "n", NULL);

		if (fits != (size > strlen(out)))
			ok(false, "build into %zu bytes", size);
		free(exact);
	}
	ok(true, "build into buffers of all sizes");

	ok(pgha_conninfo_get("user = 'a b' dbname=x USER=c\\'d", "user", out, sizeof(out)) &&
	   strcmp(out, "c'd") == 0, "get: %s", out);
	ok(pgha_conninfo_get(" user = 'it\\'s ' dbname=x", "user", out, sizeof(out)) &&
	   strcmp(out, "it's ") == 0, "get a quoted value: %s", out);
	ok(pgha_conninfo_get("user=a dbname=''", "dbname", out, sizeof(out)) && out[0] == '\0', "get an empty value");
	ok(!pgha_conninfo_get("user=a dbname=x", "passfile", out, sizeof(out)), "get what is not there");
	ok(!pgha_conninfo_get("user=abc", "user", out, 3), "get what does not fit");
	ok(pgha_conninfo_get("user=abc", "user", out, 4), "get what just fits");

	memset(longest, ' ', PGHA_CONNINFO_SIZE);
	memcpy(longest, "user=x", 6);
	longest[PGHA_CONNINFO_SIZE] = '\0';
	ok(!pgha_conninfo_check(longest, error, sizeof(error)), "too long: %s", error);
	for (int length = PGHA_CONNINFO_SIZE; length > 0; length--)
	{
		longest[length] = '\0';
		if (pgha_conninfo_check(longest, error, sizeof(error)))
			break;
	}
	memset(address.host, 'h', sizeof(address.host) - 1);
	ok(pgha_conninfo_build(out, sizeof(out), longest, &address,
						   "a123456789012345678901234567890123456789012345678901234567",
						   "replication=true connect_timeout=10"),
	   "the longest text that is accepted can be built from");
	free(longest);
}

/* ---- reports ---- */

static void
make_members(PghaMembers *members)
{
	char		error[256];

	if (!pgha_members_parse("db-1=h1,db-2=h2,db-3=h3", members, error, sizeof(error)))
		abort();
}

static void
make_report(PghaReport *report)
{
	memset(report, 0, sizeof(*report));
	strcpy(report->node, "db-2");
	report->system_identifier = UINT64_C(7300000000000000001);
	report->instance = UINT64_MAX;
	report->claim.term = 7;
	report->claim.fork_lsn = UINT64_C(0x16B374D848);
	strcpy(report->claim.leader, "db-1");
	report->role = PGHA_ROLE_STANDBY;
	report->in_recovery = true;
	report->posted = false;
	report->fenced = true;
	report->diverged = true;
	report->passive = PGHA_PASSIVE_NAME_IN_USE;
	report->bar = PGHA_BAR_NOT_SYNC;
	report->priority = 100;
	report->timeline = UINT32_MAX;
	report->wal_end = UINT64_MAX;
	report->receiver = PGHA_RECEIVER_STREAMING;
	strcpy(report->upstream, "db-1");
	report->receiver_age = -1;
	report->paused = true;
	report->pause_generation = 3;
	report->config_hash = UINT64_C(0x8000000000000000);
	report->sync.method = PGHA_SYNC_ANY;
	report->sync.num_sync = 1;
	report->sync.num_listed = 4;
	report->sync.listed = 5;
	report->sync.current = 1;
	report->slots = 7;
	strcpy(report->ec2_instance, "i-0123456789abcdef0");
	strcpy(report->address_state, "error: no route");
}

typedef struct Records
{
	int			count;
	PghaRecord	last;
} Records;

static void
collect(const PghaRecord *record, void *arg)
{
	Records    *records = arg;

	records->count++;
	records->last = *record;
}

static bool
same_report(const PghaReport *a, const PghaReport *b)
{
	return strcmp(a->node, b->node) == 0 &&
		a->system_identifier == b->system_identifier && a->instance == b->instance &&
		a->claim.term == b->claim.term && a->claim.fork_lsn == b->claim.fork_lsn &&
		strcmp(a->claim.leader, b->claim.leader) == 0 &&
		a->role == b->role && a->in_recovery == b->in_recovery && a->posted == b->posted &&
		a->fenced == b->fenced && a->diverged == b->diverged &&
		a->passive == b->passive && a->bar == b->bar && a->priority == b->priority &&
		a->timeline == b->timeline && a->wal_end == b->wal_end && a->receiver == b->receiver &&
		strcmp(a->upstream, b->upstream) == 0 && a->receiver_age == b->receiver_age &&
		a->paused == b->paused && a->pause_generation == b->pause_generation &&
		a->config_hash == b->config_hash &&
		a->sync.method == b->sync.method && a->sync.num_sync == b->sync.num_sync &&
		a->sync.num_listed == b->sync.num_listed && a->sync.listed == b->sync.listed &&
		a->sync.current == b->sync.current && a->slots == b->slots &&
		strcmp(a->ec2_instance, b->ec2_instance) == 0 && strcmp(a->address_state, b->address_state) == 0;
}

/* A report with two records, as text. */
static char *
report_text(void)
{
	static char buffer[PGHA_LINE_SIZE];
	PghaMembers members;
	PghaReport	report;
	PghaRecord	record = {UINT64_C(1700000000000001), "db-2", "promoted", 7, "tab\there, back\\slash"};
	PghaLine	line;

	make_members(&members);
	make_report(&report);
	pgha_line_init(&line, buffer, sizeof(buffer));
	pgha_report_format(&line, &report, &members);
	pgha_report_add_record(&line, &record);
	record.id++;
	pgha_report_add_record(&line, &record);
	if (line.overflow)
		abort();
	return copy(buffer);
}

static bool
parses(const char *text, PghaReport *report, Records *records)
{
	PghaMembers members;
	char	   *exact = copy(text);
	bool		result;

	make_members(&members);
	memset(records, 0, sizeof(*records));
	result = pgha_report_parse(exact, &members, report, collect, records);
	free(exact);
	return result;
}

/* `text` with the first `from` replaced. */
static char *
replaced(const char *text, const char *from, const char *to)
{
	const char *found = strstr(text, from);
	char	   *result;

	if (found == NULL)
		abort();
	result = malloc(strlen(text) + strlen(to) + 1);
	memcpy(result, text, (size_t) (found - text));
	strcpy(result + (found - text), to);
	strcat(result, found + strlen(from));
	return result;
}

/* A value added to an enumeration needs a word in report.c. */
static void
test_words(void)
{
	PghaMembers members;
	PghaReport	report;
	PghaReport	expected;
	char		buffer[PGHA_LINE_SIZE];
	bool		same = true;

	make_members(&members);
	for (int i = 0; i <= (int) PGHA_BAR_NOT_SYNC; i++)
	{
		PghaLine	line;

		make_report(&expected);
		expected.bar = (PghaBar) i;
		expected.passive = (PghaPassive) (i % (PGHA_PASSIVE_NAME_IN_USE + 1));
		expected.role = (PghaRole) (i % (PGHA_ROLE_PRIMARY + 1));
		expected.receiver = (PghaReceiver) (i % (PGHA_RECEIVER_STREAMING + 1));
		expected.sync.method = (PghaSyncMethod) (i % (PGHA_SYNC_ANY + 1));
		pgha_line_init(&line, buffer, sizeof(buffer));
		pgha_report_format(&line, &expected, &members);
		same = same && pgha_report_parse(buffer, &members, &report, NULL, NULL) &&
			same_report(&report, &expected);
	}
	ok(same, "a word for each value of an enumeration");
}

static void
test_report(void)
{
	static const struct
	{
		const char *from;
		const char *to;
		bool		accepted;
	}			changes[] =
	{
		{"pgha-1", "pgha-2", false},
		{"\tterm=7", "\tterm=7\tunknown=x", true},
		{"\tterm=7", "\tterm=7\tterm=7", false},
		{"\tterm=7", "", false},
		{"\tterm=7", "\tterm", false},
		{"\tterm=7", "\tterm=", false},
		{"\tterm=7", "\tterm=-7", false},
		{"node=db-2", "node=", false},
		{"node=db-2", "node=a b", false},
		{"node=db-2", "node=a1234567890123456789012345678901234567890123456789012345678", false},
		{"leader=db-1", "leader=", true},
		{"role=standby", "role=king", false},
		{"recovery=yes", "recovery=t", false},
		{"timeline=4294967295", "timeline=4294967296", false},
		{"priority=100", "priority=2147483648", false},
		{"priority=100", "priority=-2147483648", true},
		{"wal_end=FFFFFFFF/FFFFFFFF", "wal_end=100000000/0", false},
		{"wal_end=FFFFFFFF/FFFFFFFF", "wal_end=0/", false},
		{"wal_end=FFFFFFFF/FFFFFFFF", "wal_end=/0", false},
		{"wal_end=FFFFFFFF/FFFFFFFF", "wal_end=0/0x", false},
		{"slots=db-1,db-2,db-3", "slots=", true},
		{"slots=db-1,db-2,db-3", "slots=db-1,", false},
		{"slots=db-1,db-2,db-3", "slots=,db-1", false},
		{"\tec2=i-0123456789abcdef0", "", false},
		{"\taddress=error: no route", "", false},
		{"ec2=i-0123456789abcdef0", "ec2=", true},
		{"ec2=i-0123456789abcdef0", "ec2=i-0123/4", false},
		{"ec2=i-0123456789abcdef0", "ec2=i 0", false},
		{"ec2=i-0123456789abcdef0", "ec2=i-01234567890123456789012345678", true},
		{"ec2=i-0123456789abcdef0", "ec2=i-012345678901234567890123456789", false},
		{"ec2=i-0123456789abcdef0", "ec2=i-1\tec2=i-1", false},
		{"address=error: no route", "address=", true},
		{"\\tpromoted\\t", "\\tpro moted\\t", false},
		{"\\tpromoted\\t", "\\tpromoted\\textra\\t", false},
		{"event=1700000000000001\\t", "event=\\t", false},
		{"event=1700000000000001\\t", "event=", false},
	};
	char	   *text = report_text();
	char	   *changed;
	PghaReport	expected;
	PghaReport	report;
	Records		records;
	PghaMembers members;
	PghaRecord	record;
	PghaLine	line;
	char		buffer[PGHA_LINE_SIZE];
	char	   *cut;

	make_report(&expected);
	ok(parses(text, &report, &records) && same_report(&report, &expected), "report round trip");
	ok(records.count == 2 && records.last.id == UINT64_C(1700000000000002) &&
	   strcmp(records.last.node, "db-2") == 0 && strcmp(records.last.kind, "promoted") == 0 &&
	   records.last.term == 7 && strcmp(records.last.what, "tab?here, back\\slash") == 0,
	   "records are handed over");
	printf("# %s\n", text);

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
	{
		changed = replaced(text, changes[i].from, changes[i].to);
		ok(parses(changed, &report, &records) == changes[i].accepted, "report with {%s} for {%s}: %s",
		   changes[i].to + strspn(changes[i].to, "\t"), changes[i].from + strspn(changes[i].from, "\t"),
		   changes[i].accepted ? "accepted" : "refused");
		free(changed);
	}

	changed = replaced(text, "slots=db-1,db-2,db-3", "slots=other,db-3");
	ok(parses(changed, &report, &records) && report.slots == 4, "a member unknown here is left out");
	free(changed);

	changed = replaced(text, "address=error: no route", "address=\\terror:\x01 \xc3\xa4");
	ok(parses(changed, &report, &records) && strcmp(report.address_state, "?error:? ??") == 0,
	   "of the address's state only printable ASCII gets through");
	free(changed);
	changed = malloc(strlen(text) + 2000);
	cut = strstr(text, "\taddress=") + strlen("\taddress=");
	memcpy(changed, text, (size_t) (cut - text));
	memset(changed + (cut - text), 'x', 1000);
	strcpy(changed + (cut - text) + 1000, cut);
	ok(parses(changed, &report, &records) && strlen(report.address_state) == PGHA_ADDRESS_STATE_SIZE - 1,
	   "one that is too long is cut");
	free(changed);

	/* Another order of members gives other bits. */
	(void) pgha_members_parse("db-3=h3,db-1=h1", &members, buffer, sizeof(buffer));
	changed = copy(text);
	ok(pgha_report_parse(changed, &members, &report, NULL, NULL) &&
	   report.sync.listed == 3 && report.sync.current == 2 && report.slots == 3 && report.sync.num_listed == 4,
	   "members travel by name");
	free(changed);

	memset(&record, 0, sizeof(record));
	strcpy(record.node, "db-1");
	strcpy(record.kind, "x");
	memset(record.what, '\t', sizeof(record.what) - 1);
	make_members(&members);
	pgha_line_init(&line, buffer, sizeof(buffer));
	pgha_report_format(&line, &expected, &members);
	pgha_report_add_record(&line, &record);
	ok(!line.overflow && parses(buffer, &report, &records) && records.count == 1 &&
	   strlen(records.last.what) == sizeof(record.what) - 1, "longest record, worst case of escaping");
	changed = malloc(strlen(text) + 1000);
	strcpy(changed, text);
	memset(changed + strlen(text), 'x', 999);
	changed[strlen(text) + 999] = '\0';
	ok(parses(changed, &report, &records) && strlen(records.last.what) == sizeof(record.what) - 1,
	   "a longer sentence is cut");
	free(changed);

	/* Cut anywhere before its last fixed field, it is no report. */
	cut = strstr(text, "\tslots=");
	for (size_t length = 0; length < (size_t) (cut - text); length++)
	{
		changed = copy(text);
		changed[length] = '\0';
		if (parses(changed, &report, &records))
			ok(false, "report cut after %zu bytes", length);
		free(changed);
	}
	ok(true, "report cut short");
	free(text);
}

/* ---- history files ---- */

static void
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

/* ---- address_spec ---- */

static void
test_address_spec(void)
{
	/* What is written, and what is written back. */
	static const struct
	{
		const char *text;
		const char *canonical;	/* NULL: the same */
		PghaAddressKind kind;
		const char *ip;
		int			prefix;
		const char *interface;
	}			good[] = {
		{"", NULL, PGHA_ADDRESS_NONE, "", 0, ""},
		{"ec2:10.0.3.10", NULL, PGHA_ADDRESS_EC2, "10.0.3.10", 32, ""},
		{"ec2:10.0.3.10@eth0", NULL, PGHA_ADDRESS_EC2, "10.0.3.10", 32, "eth0"},
		{"ec2:10.0.3.10/32@eth0", "ec2:10.0.3.10@eth0", PGHA_ADDRESS_EC2, "10.0.3.10", 32, "eth0"},
		{"ec2-elastic:eipalloc-0123456789abcdef0", NULL, PGHA_ADDRESS_EC2_ELASTIC, "", 0, ""},
		{"ec2-route:10.9.0.1/32@rtb-a,rtb-b", NULL, PGHA_ADDRESS_EC2_ROUTE, "10.9.0.1", 32, ""},
		{"ec2-route:10.9.0.1@rtb-0123", "ec2-route:10.9.0.1/32@rtb-0123", PGHA_ADDRESS_EC2_ROUTE, "10.9.0.1", 32, ""},
		{"local:10.0.3.10/24@eth0", NULL, PGHA_ADDRESS_LOCAL, "10.0.3.10", 24, "eth0"},
		{"local:10.0.3.10@bond0.5", "local:10.0.3.10/32@bond0.5", PGHA_ADDRESS_LOCAL, "10.0.3.10", 32, "bond0.5"},
		{"local:10.0.3.0/31@eth0", NULL, PGHA_ADDRESS_LOCAL, "10.0.3.0", 31, "eth0"},
		{"local:[fd00::10]/64@eth0", "local:fd00::10/64@eth0", PGHA_ADDRESS_LOCAL, "fd00::10", 64, "eth0"},
		{"local:[FD00:0:0::10]@eth0", "local:fd00::10/128@eth0", PGHA_ADDRESS_LOCAL, "fd00::10", 128, "eth0"},
		{"local:fd00::10/64@eth0", NULL, PGHA_ADDRESS_LOCAL, "fd00::10", 64, "eth0"},
	};
	/* What is refused, and a word of the sentence. */
	static const char *const bad[][2] = {
		{"10.0.3.10", "does not begin with"}, {"fd00::10", "does not begin with"},
		{"elastic:10.0.3.10", "does not begin with"}, {" ec2:10.0.3.10", "does not begin with"},
		{"ec2:", "missing"}, {"ec2:db", "numeric"}, {"ec2:10.0.3", "numeric"}, {"ec2:010.0.3.10", "numeric"},
		{"ec2:fd00::10", "IPv6"}, {"ec2:10.0.3.10/24", "32"}, {"ec2:10.0.3.10@", "1 to 15"},
		{"ec2:10.0.3.10@eth0:0", "alias"}, {"ec2:10.0.3.10@eth0 ", "interface"}, {"ec2:10.0.3.10@a/b", "interface"},
		{"ec2:10.0.3.10@..", "interface"}, {"ec2:10.0.3.10@1234567890123456", "1 to 15"},
		{"ec2-elastic:", "eipalloc"}, {"ec2-elastic:52.1.2.3", "eipalloc"}, {"ec2-elastic:eipalloc-", "eipalloc"},
		{"ec2-elastic:eipalloc-12&Action=X", "eipalloc"}, {"ec2-elastic:eipalloc-1@eth0", "eipalloc"},
		{"ec2-elastic:eipalloc-0123456789012345678901234567890123456789012345678901234", "eipalloc"},
		{"ec2-route:10.9.0.1/32", "missing"}, {"ec2-route:10.9.0.1/24@rtb-a", "32"}, {"ec2-route:10.9.0.1/32@", "rtb-"},
		{"ec2-route:10.9.0.1/32@rtb-a,", "rtb-"}, {"ec2-route:10.9.0.1/32@rtb-a, rtb-b", "rtb-"},
		{"ec2-route:10.9.0.1/32@rtb-a,rtb-a", "twice"}, {"ec2-route:10.9.0.1/32@eth0", "rtb-"},
		{"ec2-route:fd00::1/128@rtb-a", "IPv4"},
		{"ec2-route:10.9.0.1@rtb-1,rtb-2,rtb-3,rtb-4,rtb-5,rtb-6,rtb-7,rtb-8,rtb-9,rtb-10,rtb-11,rtb-12,rtb-13,rtb-14,rtb-15,rtb-16,rtb-17", "16"},
		{"local:10.0.3.10", "interface is missing"}, {"local:10.0.3.10/33@eth0", "between 1 and 32"},
		{"local:10.0.3.10/0@eth0", "between 1 and 32"}, {"local:10.0.3.10/@eth0", "between 1 and 32"},
		{"local:10.0.3.10/+24@eth0", "between 1 and 32"}, {"local:10.0.3.10/24/24@eth0", "between 1 and 32"},
		{"local:fd00::10/129@eth0", "between 1 and 128"}, {"local:[10.0.3.10]/24@eth0", "brackets"},
		{"local:[fd00::10/64@eth0", "numeric"}, {"local:[]@eth0", "brackets"}, {"local:[@eth0", "numeric"},
		{"local:10.0.3.0/24@eth0", "network"}, {"local:10.0.3.255/24@eth0", "broadcast"}, {"local:127.0.0.1@eth0", "loopback"},
		{"local:224.0.0.1@eth0", "multicast"}, {"local:255.255.255.255@eth0", "multicast"}, {"local:0.0.0.0@eth0", "begins with 0"},
		{"local:::@eth0", "unspecified"}, {"local:::1@eth0", "loopback"}, {"local:ff02::1@eth0", "multicast"},
		{"local:fe80::1@eth0", "link-local"}, {"local:::ffff:10.0.3.10@eth0", "IPv4"}, {"local:fd00::/64@eth0", "anycast"},
		{"local:10.0.3.10@eth0@eth1", "interface"},
	};
	PghaAddressSpec spec;
	char		error[512];
	char		text[PGHA_ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		char	   *one = copy(good[i].text);
		bool		parsed = pgha_address_spec_parse(one, &spec, error, sizeof(error));

		ok(parsed && spec.kind == good[i].kind && strcmp(spec.ip, good[i].ip) == 0 &&
		   spec.prefix == good[i].prefix && strcmp(spec.interface, good[i].interface) == 0 &&
		   spec.family == (good[i].ip[0] == '\0' ? 0 : strchr(good[i].ip, ':') != NULL ? AF_INET6 : AF_INET),
		   "address \"%s\"%s%s", good[i].text, parsed ? "" : ": ", parsed ? "" : error);
		ok(pgha_address_spec_format(&spec, text, sizeof(text)) &&
		   strcmp(text, good[i].canonical != NULL ? good[i].canonical : good[i].text) == 0, "written as \"%s\"", text);
		free(one);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		char	   *one = copy(bad[i][0]);

		error[0] = '\0';
		ok(!pgha_address_spec_parse(one, &spec, error, sizeof(error)) && strstr(error, bad[i][1]) != NULL,
		   "refused: %s", error);
		free(one);
	}

	ok(pgha_address_spec_parse("ec2-route:10.9.0.1/32@rtb-a,rtb-b", &spec, error, sizeof(error)) && spec.tables == 2 &&
	   strcmp(spec.table[0], "rtb-a") == 0 && strcmp(spec.table[1], "rtb-b") == 0, "two route tables");
	ok(!pgha_address_spec_format(&spec, text, 10) && strlen(text) < 10, "no room for the text");

	/* The longest there is. */
	strcpy(text, "ec2-route:100.100.100.100/32@");
	for (int i = 0; i < PGHA_MAX_ROUTE_TABLES; i++)
		sprintf(text + strlen(text), "%srtb-%059d", i > 0 ? "," : "", i);
	ok(pgha_address_spec_parse(text, &spec, error, sizeof(error)) && spec.tables == PGHA_MAX_ROUTE_TABLES, "longest address: %s", error);
	{
		char		again[PGHA_ADDRESS_TEXT_SIZE];

		ok(pgha_address_spec_format(&spec, again, sizeof(again)) && strcmp(text, again) == 0, "written as it was read");
	}
}

/* ---- random damage ---- */

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

static void
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
	random_state = seed;
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

int
main(int argc, char **argv)
{
	uint64_t	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t) time(NULL);
	long		rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 20000;

	test_fields();
	test_numbers();
	test_members();
	test_conninfo();
	test_address_spec();
	test_words();
	test_report();
	test_history();
	test_damage(seed, rounds);
	printf("1..%d\n", tests);
	return failures > 0;
}
