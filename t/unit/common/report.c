/*
 * report.c
 *		Reports as text: what is written is read, what is damaged refused.
 */
#include "test.h"

#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
void
test_words(void)
{
	PghaMembers members;
	PghaReport	report;
	PghaReport	expected;
	char		buffer[PGHA_LINE_SIZE];
	bool		same = true;

	make_members(&members);
	for (int i = 0; i <= (int) PGHA_BAR_FORGOT; i++)
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

void
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
		{"\tterm=7", "\tterm=4294967295", true},
		{"\tterm=7", "\tterm=4294967296", false},
		{"\tcandidacy=11", "\tcandidacy=18446744073709551615", false},
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
		{"gap_to=0/5000000", "gap_to=5000000", false},
		{"\tgap_from=0/4000028", "", false},
		{"\tgap_to=0/5000000", "", false},
		{"\tgap_from=0/4000028\tgap_to=0/5000000", "", true},
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
		{"\tvotes=1", "", false},
		{"\treplayed=0/6000000", "", false},
		{"\treplayed=0/6000000\treplay_paused=yes\tcommit_age=21\tcurrent_age=-1", "", true},
		{"\thandover=db-1", "", false},
		{"handover=db-1", "handover=", true},
		{"rule_voters=db-3,db-1,w-1,db-2", "rule_voters=db-3,db-1,w-1,db-2,db-1", false},
		{"rule_voters=db-3,db-1,w-1,db-2", "rule_voters=db-3,db-1,db-2", false},
		{"rule_voters=db-3,db-1,w-1,db-2", "rule_voters=db-3,db-1,w-1,db-2,", false},
		{"rule_voters=db-3,db-1,w-1,db-2", "rule_voters=db-3,db-1,w-1,db 2", false},
		{"rule_voters=db-3,db-1,w-1,db-2", "rule_voters=db-3,db-1,w-1,db-2,a,b,c,d,e,f,g,h,i,j,k,l", true},
		{"rule_voters=db-3,db-1,w-1,db-2", "rule_voters=db-3,db-1,w-1,db-2,a,b,c,d,e,f,g,h,i,j,k,l,m", false},
		{"rule_voters=db-3,db-1,w-1,db-2", "rule_voters=", false},
		{"rule_eligible=db-3,db-1,db-2", "rule_eligible=db-3,other", false},
		{"rule_eligible=db-3,db-1,db-2", "rule_eligible=", false},
		{"rule_eligible=db-3,db-1,db-2", "rule_eligible=w-1", false},
		{"rule_sync=db-3,db-2", "rule_sync=db-3,db-2,w-1", false},
		{"rule_witnesses=w-1", "rule_witnesses=", true},
		{"rule_k=1", "rule_k=-1", false},
		{"rule_k=1", "rule_k=17", false},
		{"rule_epoch=4294967295", "rule_epoch=4294967296", false},
		{"vote_open=yes", "vote_open=maybe", false},
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

	changed = replaced(text, "\tgap_from=0/4000028\tgap_to=0/5000000", "");
	ok(parses(changed, &report, &records) && report.gap.from == 0 && report.gap.to == 0, "an older version tells of no gap");
	free(changed);

	/* From one who takes no part in votes, or does not know of them. */
	expected.votes = 0;
	make_members(&members);
	pgha_line_init(&line, buffer, sizeof(buffer));
	pgha_report_format(&line, &expected, &members);
	ok(strstr(buffer, "vote") == NULL && strstr(buffer, "rule") == NULL, "who does not vote says nothing of votes");
	ok(parses(buffer, &report, &records) && report.votes == 0 && report.support.term == 0 && report.rule.term == 0 &&
	   report.rule.count == 0 && report.beat == 0, "and is read as one who does not");
	make_report(&expected);

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
