/*
 * state.c
 *		PGDATA/pgha.state: what this node must remember over a restart.
 *
 * A text file of key=value lines that ends with a checksum line, small enough
 * to be written as a whole each time.  Only the monitor writes it, and the
 * postmaster while it starts, when there is no monitor.
 *
 * There are two versions.  The second one has what a voter must not forget
 * besides (quorum.md, 3), and what a promotion that is not posted yet has replaced.
 * It is written by those who have anything of that: where nobody votes an older pgha
 * can go on with the file.  A later version is
 * refused, not ignored: what it says may be what keeps two servers from leading.
 *
 * A node without the file, or with one that it cannot use, does not know what it
 * has voted in (core/recall.c); that is written, too, and by older versions left
 * out of account.
 */
#include "postgres.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "storage/fd.h"

#include "../common/fields.h"
#include "../core/recall.h"
#include "files.h"
#include "state.h"
#include "text.h"
#include "witness.h"

#define STATE_FILE		"pgha.state"
#define STATE_FILE_NEW	"pgha.state.new"
#define PGHA_VOTES_FILE	"pgha.votes"	/* recovery/votes.c */
#define STATE_HEADER	"pgha state "
#define STATE_VERSION	1
#define STATE_VERSION_VOTES	2
#define STATE_MAX		8192

/* Members of a bitmap by name: the numbering is that of one pgha.members. */
static void
append_names(StringInfo text, const char *key, const PghaSettings *settings, uint32 set)
{
	const char *separator = "";

	appendStringInfo(text, "%s=", key);
	for (int i = 0; i < settings->count; i++)
	{
		if (set & (UINT32_C(1) << i))
		{
			appendStringInfo(text, "%s%s", separator, settings->name[i]);
			separator = ",";
		}
	}
	appendStringInfoChar(text, '\n');
}

static uint32
parse_names(char *value, const PghaSettings *settings)
{
	uint32		set = 0;
	char	   *rest = value;
	char	   *name;

	while ((name = strsep(&rest, ",")) != NULL)
	{
		for (int i = 0; i < settings->count; i++)
		{
			if (strcmp(settings->name[i], name) == 0)
				set |= UINT32_C(1) << i;
		}
	}
	return set;
}

/* Has this node anything to remember of votes? */
static bool
has_voted(const PghaDurable *durable)
{
	return durable->support.term != 0 || durable->vote.term != 0 || durable->highest != 0 ||
		durable->withdrawn != 0 || durable->won != 0 || durable->promised_ttl != 0 || durable->rule.term != 0;
}

/* Is there anything that a promotion has replaced? */
static bool
has_replaced(const PghaDurable *durable)
{
	return durable->replaced.timeline != 0;
}

static void
append_replaced(StringInfo text, const PghaDurable *durable)
{
	const PghaReplaced *replaced = &durable->replaced;

	appendStringInfo(text, "replaced_timeline=%u\n", replaced->timeline);
	appendStringInfo(text, "replaced_term=%llu\n", (unsigned long long) replaced->claim.term);
	appendStringInfo(text, "replaced_fork_lsn=%llu\n", (unsigned long long) replaced->claim.fork_lsn);
	appendStringInfo(text, "replaced_leader=%s\n", replaced->claim.leader);
	appendStringInfo(text, "replaced_role=%d\n", (int) replaced->role);
	appendStringInfo(text, "replaced_fenced=%d\n", replaced->fenced);
	appendStringInfo(text, "replaced_diverged=%d\n", replaced->diverged);
	appendStringInfo(text, "replaced_instance=%s\n", replaced->leader_instance);
	appendStringInfo(text, "own_from=%llu\n", (unsigned long long) durable->own_from);
}

/* Takes a line of what a promotion has replaced.  *known is false if it is none. */
static bool
take_replaced(PghaDurable *durable, const char *key, const char *value, bool is_number, uint64 number, bool *known)
{
	PghaReplaced *replaced = &durable->replaced;

	*known = true;
	if (strcmp(key, "replaced_leader") == 0)
		return strlcpy(replaced->claim.leader, value, PGHA_NAME_SIZE) < PGHA_NAME_SIZE;
	if (strcmp(key, "replaced_instance") == 0)
		return strlcpy(replaced->leader_instance, value, PGHA_INSTANCE_SIZE) < PGHA_INSTANCE_SIZE;
	if (strcmp(key, "replaced_timeline") == 0)
		replaced->timeline = (uint32) number;
	else if (strcmp(key, "replaced_term") == 0)
		replaced->claim.term = number;
	else if (strcmp(key, "replaced_fork_lsn") == 0)
		replaced->claim.fork_lsn = number;
	else if (strcmp(key, "replaced_role") == 0)
		replaced->role = (PghaRole) Min(number, PGHA_ROLE_PRIMARY);
	else if (strcmp(key, "replaced_fenced") == 0)
		replaced->fenced = number != 0;
	else if (strcmp(key, "replaced_diverged") == 0)
		replaced->diverged = number != 0;
	else if (strcmp(key, "own_from") == 0)
		durable->own_from = number;
	else
		*known = false;
	return !*known || is_number;
}

/* Voters of a set of the rule by name. */
static void
append_voters(StringInfo text, const char *key, const PghaVotingRule *rule, uint32 set)
{
	const char *separator = "";

	appendStringInfo(text, "%s=", key);
	for (int i = 0; i < rule->count; i++)
	{
		if (set & (UINT32_C(1) << i))
		{
			appendStringInfo(text, "%s%s", separator, rule->voter[i]);
			separator = ",";
		}
	}
	appendStringInfoChar(text, '\n');
}

static void
append_votes(StringInfo text, const PghaDurable *durable)
{
	const PghaVotingRule *rule = &durable->rule;

	appendStringInfo(text, "support_term=%llu\n", (unsigned long long) durable->support.term);
	appendStringInfo(text, "support=%s\n", durable->support.name);
	appendStringInfo(text, "vote_term=%llu\n", (unsigned long long) durable->vote.term);
	appendStringInfo(text, "vote=%s\n", durable->vote.name);
	appendStringInfo(text, "vote_open=%d\n", durable->vote_open);
	appendStringInfo(text, "highest=%llu\n", (unsigned long long) durable->highest);
	appendStringInfo(text, "withdrawn=%llu\n", (unsigned long long) durable->withdrawn);
	appendStringInfo(text, "won=%llu\n", (unsigned long long) durable->won);
	appendStringInfo(text, "won_before=%llu\n", (unsigned long long) durable->won_before);
	appendStringInfo(text, "promised_ttl_us=%llu\n", (unsigned long long) durable->promised_ttl);
	appendStringInfo(text, "rule_term=%llu\n", (unsigned long long) rule->term);
	appendStringInfo(text, "rule_epoch=%u\n", rule->epoch);
	append_voters(text, "rule_voters", rule, PG_UINT32_MAX);
	append_voters(text, "rule_witnesses", rule, rule->witnesses);
	append_voters(text, "rule_eligible", rule, rule->eligible);
	append_voters(text, "rule_sync", rule, rule->sync);
	appendStringInfo(text, "rule_k=%d\n", rule->k);
}

/* The names of a rule's voters, which come before the sets of them. */
static bool
parse_voters(char *value, PghaVotingRule *rule)
{
	char	   *rest = *value == '\0' ? NULL : value;
	char	   *name;

	while ((name = strsep(&rest, ",")) != NULL)
	{
		if (rule->count == PGHA_MAX_MEMBERS ||
			strlcpy(rule->voter[rule->count++], name, PGHA_NAME_SIZE) >= PGHA_NAME_SIZE)
			return false;
	}
	return true;
}

static bool
parse_voter_set(char *value, const PghaVotingRule *rule, uint32 *set)
{
	char	   *rest = *value == '\0' ? NULL : value;
	char	   *name;

	while ((name = strsep(&rest, ",")) != NULL)
	{
		int			voter = 0;

		while (voter < rule->count && strcmp(rule->voter[voter], name) != 0)
			voter++;
		if (voter == rule->count)
			return false;
		*set |= UINT32_C(1) << voter;
	}
	return true;
}

/* A line that the second version adds.  *known is false if it is none of them. */
static bool
take_vote(PghaDurable *durable, const char *key, char *value, bool is_number, uint64 number, bool *known)
{
	PghaVotingRule *rule = &durable->rule;

	*known = true;
	if (strcmp(key, "support") == 0)
		return strlcpy(durable->support.name, value, PGHA_NAME_SIZE) < PGHA_NAME_SIZE;
	if (strcmp(key, "vote") == 0)
		return strlcpy(durable->vote.name, value, PGHA_NAME_SIZE) < PGHA_NAME_SIZE;
	if (strcmp(key, "rule_voters") == 0)
		return parse_voters(value, rule);
	if (strcmp(key, "rule_witnesses") == 0)
		return parse_voter_set(value, rule, &rule->witnesses);
	if (strcmp(key, "rule_eligible") == 0)
		return parse_voter_set(value, rule, &rule->eligible);
	if (strcmp(key, "rule_sync") == 0)
		return parse_voter_set(value, rule, &rule->sync);
	if (strcmp(key, "support_term") == 0)
		durable->support.term = number;
	else if (strcmp(key, "vote_term") == 0)
		durable->vote.term = number;
	else if (strcmp(key, "vote_open") == 0)
		durable->vote_open = number != 0;
	else if (strcmp(key, "highest") == 0)
		durable->highest = number;
	else if (strcmp(key, "withdrawn") == 0)
		durable->withdrawn = number;
	else if (strcmp(key, "won") == 0)
		durable->won = number;
	else if (strcmp(key, "won_before") == 0)
		durable->won_before = number;
	else if (strcmp(key, "promised_ttl_us") == 0)
		durable->promised_ttl = (pgha_time) number;
	else if (strcmp(key, "rule_term") == 0)
		rule->term = number;
	else if (strcmp(key, "rule_epoch") == 0)
		rule->epoch = (uint32) number;
	else if (strcmp(key, "rule_k") == 0)
		rule->k = (int) Min(number, PGHA_MAX_MEMBERS);
	else
		*known = false;
	return !*known || is_number;
}

/* Reads one file of this form; *durable is all zero unless it is READ. */
static PghaStateFile
read_file(const char *file, const PghaSettings *settings, PghaDurable *durable)
{
	char		text[STATE_MAX];
	char	   *sum;
	char	   *rest;
	char	   *line;
	char		node[PGHA_NAME_SIZE] = "";
	uint64		system_identifier = 0;
	uint64		version = 0;
	bool		good = true;

	memset(durable, 0, sizeof(*durable));
	if (PghaReadFile(file, text, sizeof(text)) < 0)
	{
		if (errno == ENOENT)
			return PGHA_STATE_ABSENT;
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", file)));
		return PGHA_STATE_UNUSABLE;
	}

	sum = strstr(text, "\ncrc=");
	if (sum == NULL || strncmp(text, STATE_HEADER, strlen(STATE_HEADER)) != 0 ||
		strtoul(sum + 5, NULL, 16) != PghaChecksum(text, sum + 1 - text))
	{
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file \"%s\" is damaged and cannot be used", file),
				 errhint("The node learns its leader anew from the other members.")));
		return PGHA_STATE_UNUSABLE;
	}

	*sum = '\0';
	rest = text;
	line = strsep(&rest, "\n");
	if (!pgha_parse_uint64(line + strlen(STATE_HEADER), &version) || version > STATE_VERSION_VOTES)
		ereport(FATAL,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("file \"%s\" was written by a later version of pgha (\"%s\")", file, line),
				 errdetail("It says whom this server has voted for or promised to follow, which this version cannot read."),
				 errhint("Install the later version of pgha again.")));
	while ((line = strsep(&rest, "\n")) != NULL)
	{
		char	   *value = strchr(line, '=');
		uint64		number = 0;
		bool		is_number;
		bool		known;

		if (value == NULL)
		{
			good = false;
			continue;
		}
		*value++ = '\0';
		is_number = pgha_parse_uint64(value, &number);
		good &= take_vote(durable, line, value, is_number, number, &known);
		if (!known)
			good &= take_replaced(durable, line, value, is_number, number, &known);
		if (known)
			continue;

		if (strcmp(line, "node") == 0)
			strlcpy(node, value, sizeof(node));
		else if (strcmp(line, "leader") == 0)
			good &= strlcpy(durable->claim.leader, value, PGHA_NAME_SIZE) < PGHA_NAME_SIZE;
		else if (strcmp(line, "sync_listed") == 0)
			durable->sync.listed = parse_names(value, settings);
		else if (strcmp(line, "sync_current") == 0)
			durable->sync.current = parse_names(value, settings);
		else if (strcmp(line, "leader_instance") == 0)
			good &= strlcpy(durable->leader_instance, value, PGHA_INSTANCE_SIZE) < PGHA_INSTANCE_SIZE;
		else if (!is_number)
			good = false;
		else if (strcmp(line, "system_identifier") == 0)
			system_identifier = number;
		else if (strcmp(line, "term") == 0)
			durable->claim.term = number;
		else if (strcmp(line, "fork_lsn") == 0)
			durable->claim.fork_lsn = number;
		else if (strcmp(line, "role") == 0)
			durable->role = (PghaRole) Min(number, PGHA_ROLE_PRIMARY);
		else if (strcmp(line, "fenced") == 0)
			durable->fenced = number != 0;
		else if (strcmp(line, "diverged") == 0)
			durable->diverged = number != 0;
		else if (strcmp(line, "paused") == 0)
			durable->paused = number != 0;
		else if (strcmp(line, "pause_generation") == 0)
			durable->pause_generation = number;
		else if (strcmp(line, "forgot") == 0)
			durable->forgot = number != 0;
		else if (strcmp(line, "sync_method") == 0)
			durable->sync.method = (PghaSyncMethod) Min(number, PGHA_SYNC_ANY);
		else if (strcmp(line, "sync_num") == 0)
			durable->sync.num_sync = (int) Min(number, INT_MAX);
		else if (strcmp(line, "sync_num_listed") == 0)
			durable->sync.num_listed = (int) Min(number, INT_MAX);
	}

	if (strcmp(node, settings->name[settings->self]) == 0 && good &&
		PghaIsWitness() && settings->system_identifier == 0)
		PghaWitnessServe(system_identifier);
	else if (strcmp(node, settings->name[settings->self]) != 0 ||
			 system_identifier != settings->system_identifier)
	{
		ereport(LOG,
				(errmsg("file \"%s\" belongs to node \"%s\" of system %llu and is ignored",
						file, PghaClip(node, PGHA_NAME_SIZE), (unsigned long long) system_identifier),
				 errdetail("A base backup or pg_rewind brought it here.")));
		good = false;
	}
	if (!good)
	{
		memset(durable, 0, sizeof(*durable));
		return PGHA_STATE_UNUSABLE;
	}
	durable->vote_open |= durable->forgot;
	return PGHA_STATE_READ;
}

/*
 * A recovery has put this node's votes beside what it has brought along, which is
 * all that is known of them until they are written anew.
 */
static bool
take_carried_votes(const PghaSettings *settings, PghaDurable *durable)
{
	PghaDurable before;

	if (read_file(PGHA_VOTES_FILE, settings, &before) != PGHA_STATE_READ)
		return false;
	memset(durable, 0, sizeof(*durable));
	durable->role = PGHA_ROLE_STANDBY;
	durable->support = before.support;
	durable->vote = before.vote;
	durable->vote_open = before.vote_open;
	durable->highest = before.highest;
	durable->withdrawn = before.withdrawn;
	durable->won = before.won;
	durable->won_before = before.won_before;
	durable->promised_ttl = before.promised_ttl;
	durable->rule = before.rule;
	durable->forgot = before.forgot;
	return true;
}

/* What they say is part of pgha.state by now, and will soon be older. */
static void
drop_carried_votes(void)
{
	if (unlink(PGHA_VOTES_FILE) != 0 && errno != ENOENT)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", PGHA_VOTES_FILE)));
}

PghaStateFile
PghaStateRead(const PghaSettings *settings, PghaDurable *durable)
{
	PghaStateFile file = read_file(STATE_FILE, settings, durable);

	if (file == PGHA_STATE_READ)
		drop_carried_votes();
	else if (file != PGHA_STATE_ABSENT || !take_carried_votes(settings, durable))
		pgha_forget(durable);
	return file;
}

bool
PghaStateSync(void)
{
	return fsync_fname_ext(STATE_FILE, false, false, LOG) == 0 && fsync_fname_ext(".", true, false, LOG) == 0;
}

uint64
PghaStateSystem(void)
{
	static const char key[] = "\nsystem_identifier=";
	char		text[STATE_MAX];
	const char *line;

	if (PghaReadFile(STATE_FILE, text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, key);
	return line != NULL ? strtoull(line + sizeof(key) - 1, NULL, 10) : 0;
}

bool
PghaStateWrite(const PghaSettings *settings, const PghaDurable *durable)
{
	StringInfoData text;
	bool		done;

	initStringInfo(&text);
	appendStringInfo(&text, "%s%d\n", STATE_HEADER, has_voted(durable) || has_replaced(durable) ? STATE_VERSION_VOTES : STATE_VERSION);
	appendStringInfo(&text, "node=%s\n", settings->name[settings->self]);
	appendStringInfo(&text, "system_identifier=%llu\n", (unsigned long long) settings->system_identifier);
	appendStringInfo(&text, "term=%llu\n", (unsigned long long) durable->claim.term);
	appendStringInfo(&text, "fork_lsn=%llu\n", (unsigned long long) durable->claim.fork_lsn);
	appendStringInfo(&text, "leader=%s\n", durable->claim.leader);
	appendStringInfo(&text, "role=%d\n", (int) durable->role);
	appendStringInfo(&text, "fenced=%d\n", durable->fenced);
	appendStringInfo(&text, "diverged=%d\n", durable->diverged);
	appendStringInfo(&text, "paused=%d\n", durable->paused);
	appendStringInfo(&text, "pause_generation=%llu\n", (unsigned long long) durable->pause_generation);
	appendStringInfo(&text, "sync_method=%d\n", (int) durable->sync.method);
	appendStringInfo(&text, "sync_num=%d\n", durable->sync.num_sync);
	appendStringInfo(&text, "sync_num_listed=%d\n", durable->sync.num_listed);
	append_names(&text, "sync_listed", settings, durable->sync.listed);
	append_names(&text, "sync_current", settings, durable->sync.current);
	appendStringInfo(&text, "leader_instance=%s\n", durable->leader_instance);
	if (durable->forgot)
		appendStringInfoString(&text, "forgot=1\n");
	if (has_replaced(durable))
		append_replaced(&text, durable);
	if (has_voted(durable))
		append_votes(&text, durable);
	appendStringInfo(&text, "crc=%08X\n", PghaChecksum(text.data, text.len));

	done = PghaWriteFileSynced(STATE_FILE_NEW, O_TRUNC, text.data, text.len);
	if (!done)
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", STATE_FILE_NEW)));
	else
	{
		/* durable_rename() would sync the files twice more, in the middle of a failover. */
		done = rename(STATE_FILE_NEW, STATE_FILE) == 0;
		if (!done)
			ereport(WARNING,
					(errcode_for_file_access(),
					 errmsg("could not rename file \"%s\" to \"%s\": %m",
							STATE_FILE_NEW, STATE_FILE)));
		done = done && fsync_fname_ext(".", true, false, LOG) == 0;
		if (done)
			drop_carried_votes();
	}
	pfree(text.data);
	return done;
}
