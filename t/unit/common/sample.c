/*
 * sample.c
 *		A report as a member sends it, for the tests of those who read it.
 */
#include "sample.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

void
make_members(PghaMembers *members)
{
	char		error[256];

	if (!pgha_members_parse("db-1=h1,db-2=h2,db-3=h3", members, error, sizeof(error)))
		abort();
}

/* Voters in another order than the members, and one that is none. */
static void
make_rule(PghaVotingRule *rule)
{
	rule->term = 8;
	rule->epoch = UINT32_MAX;
	rule->count = 4;
	strcpy(rule->voter[0], "db-3");
	strcpy(rule->voter[1], "db-1");
	strcpy(rule->voter[2], "w-1");
	strcpy(rule->voter[3], "db-2");
	rule->witnesses = 4;
	rule->eligible = 11;
	rule->sync = 9;
	rule->k = 1;
}

void
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
	report->gap.from = UINT64_C(0x4000028);
	report->gap.to = UINT64_C(0x5000000);
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
	report->votes = PGHA_VOTES;
	report->waits = 20;
	report->support.term = 8;
	strcpy(report->support.name, "db-3");
	report->vote.term = 9;
	strcpy(report->vote.name, "db-1");
	report->vote_open = true;
	report->highest = 10;
	report->withdrawn = 6;
	report->won = 5;
	make_rule(&report->rule);
	report->candidacy = 11;
	report->seeks = true;
	report->held = 19;
	report->replay_lag = 12345;
	report->beat = UINT64_MAX;
	report->leased = true;
	report->promise.leader.term = 12;
	strcpy(report->promise.leader.name, "db-2");
	report->promise.instance = 13;
	report->promise.beat = 14;
	report->promise.ttl = 18;
	report->promise_age = 15;
	report->released = 16;
	report->handover.term = 17;
	strcpy(report->handover.name, "db-1");
	report->handover_lsn = UINT64_C(0x7000000);
	report->own_wal = true;
	report->replayed = UINT64_C(0x6000000);
	report->replay_paused = true;
	report->commit_age = 21;
	report->current_age = -1;
}

static void
collect(const PghaRecord *record, void *arg)
{
	Records    *records = arg;

	records->count++;
	records->last = *record;
}

static bool
same_ballot(const PghaBallot *a, const PghaBallot *b)
{
	return a->term == b->term && strcmp(a->name, b->name) == 0;
}

static bool
same_rule(const PghaVotingRule *a, const PghaVotingRule *b)
{
	bool		same = a->term == b->term && a->epoch == b->epoch && a->count == b->count &&
		a->witnesses == b->witnesses && a->eligible == b->eligible && a->sync == b->sync && a->k == b->k;

	for (int i = 0; same && i < a->count; i++)
		same = strcmp(a->voter[i], b->voter[i]) == 0;
	return same;
}

/* What is said of votes. */
static bool
same_votes(const PghaReport *a, const PghaReport *b)
{
	return a->votes == b->votes && a->waits == b->waits && same_ballot(&a->support, &b->support) && same_ballot(&a->vote, &b->vote) &&
		a->vote_open == b->vote_open && a->highest == b->highest && a->withdrawn == b->withdrawn &&
		a->won == b->won && same_rule(&a->rule, &b->rule) && a->candidacy == b->candidacy &&
		a->replay_lag == b->replay_lag && a->beat == b->beat && a->leased == b->leased &&
		same_ballot(&a->promise.leader, &b->promise.leader) && a->promise.instance == b->promise.instance &&
		a->promise.beat == b->promise.beat && a->promise.ttl == b->promise.ttl &&
		a->promise_age == b->promise_age && a->seeks == b->seeks && a->held == b->held && a->released == b->released &&
		same_ballot(&a->handover, &b->handover) && a->handover_lsn == b->handover_lsn && a->own_wal == b->own_wal;
}

bool
same_report(const PghaReport *a, const PghaReport *b)
{
	return strcmp(a->node, b->node) == 0 &&
		a->system_identifier == b->system_identifier && a->instance == b->instance &&
		a->claim.term == b->claim.term && a->claim.fork_lsn == b->claim.fork_lsn &&
		strcmp(a->claim.leader, b->claim.leader) == 0 &&
		a->role == b->role && a->in_recovery == b->in_recovery && a->posted == b->posted &&
		a->fenced == b->fenced && a->diverged == b->diverged &&
		a->passive == b->passive && a->bar == b->bar && a->priority == b->priority &&
		a->timeline == b->timeline && a->wal_end == b->wal_end && a->gap.from == b->gap.from && a->gap.to == b->gap.to && a->receiver == b->receiver &&
		strcmp(a->upstream, b->upstream) == 0 && a->receiver_age == b->receiver_age &&
		a->paused == b->paused && a->pause_generation == b->pause_generation &&
		a->config_hash == b->config_hash &&
		a->sync.method == b->sync.method && a->sync.num_sync == b->sync.num_sync &&
		a->sync.num_listed == b->sync.num_listed && a->sync.listed == b->sync.listed &&
		a->sync.current == b->sync.current && a->slots == b->slots &&
		strcmp(a->ec2_instance, b->ec2_instance) == 0 && strcmp(a->address_state, b->address_state) == 0 &&
		a->replayed == b->replayed && a->replay_paused == b->replay_paused &&
		a->commit_age == b->commit_age && a->current_age == b->current_age &&
		same_votes(a, b);
}

/* A report with two records, as text. */
char *
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

bool
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
