/*
 * report.c
 *		PghaReport as text, event records as text, timeline history files.
 *
 * The server formats its own report for the show hook of pgha.report and parses
 * those of the other members.  What is parsed comes over the network: any bytes
 * are taken, all of them are checked, and only printable ASCII gets through to
 * names and sentences, as they are shown by SQL functions in databases of any
 * encoding.
 *
 * A table describes the fields once for both directions.  All of them must be
 * present when a report is read, but for those that came with a later version:
 * what came together is there together or not at all.  What is not in the table
 * is skipped.  The part of the vote is written by those who take part in votes, that
 * of a switchover while there is one, that of the replay by standbys.
 */
#include "report.h"

#include <stdio.h>

#include "lsn.h"

#define MAGIC	"pgha-1"
#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

/* Enumerations travel as words. */
static const char *const role_words[] = {
	[PGHA_ROLE_NONE] = "none",
	[PGHA_ROLE_STANDBY] = "standby",
	[PGHA_ROLE_PRIMARY] = "primary",
};
static const char *const receiver_words[] = {
	[PGHA_RECEIVER_NONE] = "none",
	[PGHA_RECEIVER_WAITING] = "waiting",
	[PGHA_RECEIVER_CONNECTING] = "connecting",
	[PGHA_RECEIVER_STREAMING] = "streaming",
};
static const char *const sync_words[] = {
	[PGHA_SYNC_NONE] = "none",
	[PGHA_SYNC_FIRST] = "first",
	[PGHA_SYNC_ANY] = "any",
};
static const char *const passive_words[] = {
	[PGHA_ACTIVE] = "no",
	[PGHA_PASSIVE_RECOVERY_SIGNAL] = "recovery_signal",
	[PGHA_PASSIVE_RECOVERY_TARGET] = "recovery_target",
	[PGHA_PASSIVE_OTHER_SYSTEM] = "other_system",
	[PGHA_PASSIVE_NAME_IN_USE] = "name_in_use",
};
static const char *const bar_words[] = {
	[PGHA_MAY_PROMOTE] = "none",
	[PGHA_BAR_PASSIVE] = "passive",
	[PGHA_BAR_DIVERGED] = "diverged",
	[PGHA_BAR_FENCED] = "fenced",
	[PGHA_BAR_REPLAYING] = "replaying",
	[PGHA_BAR_HELD_OFF] = "held_off",
	[PGHA_BAR_NEVER_FOLLOWED] = "never_followed",
	[PGHA_BAR_LEADER_REMOVED] = "leader_removed",
	[PGHA_BAR_BEHIND_FORK] = "behind_fork",
	[PGHA_BAR_TOO_LOW] = "too_low",
	[PGHA_BAR_PRIORITY] = "priority",
	[PGHA_BAR_PAUSED] = "paused",
	[PGHA_BAR_AUTO_FAILOVER] = "auto_failover",
	[PGHA_BAR_APPLY_DELAY] = "apply_delay",
	[PGHA_BAR_STARTED_LATE] = "started_late",
	[PGHA_BAR_LAG] = "lag",
	[PGHA_BAR_NOT_LISTED] = "not_listed",
	[PGHA_BAR_NOT_SYNC] = "not_sync",
	[PGHA_BAR_FORGOT] = "forgot",
};

_Static_assert(sizeof(PghaRole) == sizeof(unsigned int) &&
			   sizeof(PghaBar) == sizeof(unsigned int) &&
			   sizeof(PghaPassive) == sizeof(unsigned int) &&
			   sizeof(PghaReceiver) == sizeof(unsigned int) &&
			   sizeof(PghaSyncMethod) == sizeof(unsigned int),
			   "enumerations are read and written as unsigned int");

typedef enum FieldKind
{
	FIELD_NAME,					/* a member's name */
	FIELD_NAME_OR_EMPTY,
	FIELD_U64,
	FIELD_TERM,					/* none is greater than PGHA_MAX_TERM: it would be greater than all to come */
	FIELD_U32,
	FIELD_I64,
	FIELD_INT,
	FIELD_LSN,
	FIELD_BOOL,
	FIELD_INSTANCE,				/* an EC2 instance, or empty */
	FIELD_ADDRESS_STATE,		/* a sentence; only printable ASCII gets through */
	FIELD_WORD,					/* an enumeration */
	FIELD_MEMBERS,				/* a bit per member; travels as names */
	FIELD_VOTERS,				/* the voters of a rule, in their order */
	FIELD_VOTER_SET				/* a bit per voter of `rule`; travels as names, behind its voters */
} FieldKind;

/* With which version a field came. */
typedef enum FieldSince
{
	SINCE_FIRST,
	SINCE_GAP,
	SINCE_VOTES,
	SINCE_HANDOVER,
	SINCE_OWN_WAL,
	SINCE_REPLAY,
	SINCE_COUNT
} FieldSince;

typedef struct Field
{
	const char *key;
	FieldKind	kind;
	size_t		offset;
	const char *const *words;	/* FIELD_WORD */
	unsigned int word_count;
	FieldSince	since;
} Field;

#define FIELD(key, kind, member)	{key, kind, offsetof(PghaReport, member), NULL, 0, SINCE_FIRST}
#define GAP(key, kind, member)		{key, kind, offsetof(PghaReport, member), NULL, 0, SINCE_GAP}
#define VOTE(key, kind, member)		{key, kind, offsetof(PghaReport, member), NULL, 0, SINCE_VOTES}
#define HANDOVER(key, kind, member) {key, kind, offsetof(PghaReport, member), NULL, 0, SINCE_HANDOVER}
#define OWN_WAL(key, kind, member)	{key, kind, offsetof(PghaReport, member), NULL, 0, SINCE_OWN_WAL}
#define REPLAY(key, kind, member)	{key, kind, offsetof(PghaReport, member), NULL, 0, SINCE_REPLAY}
#define WORD(key, words, member)	{key, FIELD_WORD, offsetof(PghaReport, member), words, LENGTH(words), SINCE_FIRST}

static const Field fields[] = {
	FIELD("node", FIELD_NAME, node),
	FIELD("system", FIELD_U64, system_identifier),
	FIELD("instance", FIELD_U64, instance),
	FIELD("term", FIELD_TERM, claim.term),
	FIELD("fork", FIELD_LSN, claim.fork_lsn),
	FIELD("leader", FIELD_NAME_OR_EMPTY, claim.leader),
	WORD("role", role_words, role),
	FIELD("recovery", FIELD_BOOL, in_recovery),
	FIELD("posted", FIELD_BOOL, posted),
	FIELD("fenced", FIELD_BOOL, fenced),
	FIELD("diverged", FIELD_BOOL, diverged),
	WORD("passive", passive_words, passive),
	WORD("bar", bar_words, bar),
	FIELD("priority", FIELD_INT, priority),
	FIELD("timeline", FIELD_U32, timeline),
	FIELD("wal_end", FIELD_LSN, wal_end),
	GAP("gap_from", FIELD_LSN, gap.from),
	GAP("gap_to", FIELD_LSN, gap.to),
	WORD("receiver", receiver_words, receiver),
	FIELD("upstream", FIELD_NAME_OR_EMPTY, upstream),
	FIELD("receiver_age", FIELD_I64, receiver_age),
	FIELD("paused", FIELD_BOOL, paused),
	FIELD("pause_generation", FIELD_U64, pause_generation),
	FIELD("config", FIELD_U64, config_hash),
	WORD("sync", sync_words, sync.method),
	FIELD("sync_count", FIELD_INT, sync.num_sync),
	FIELD("sync_named", FIELD_INT, sync.num_listed),
	FIELD("sync_listed", FIELD_MEMBERS, sync.listed),
	FIELD("sync_current", FIELD_MEMBERS, sync.current),
	FIELD("slots", FIELD_MEMBERS, slots),
	FIELD("ec2", FIELD_INSTANCE, ec2_instance),
	FIELD("address", FIELD_ADDRESS_STATE, address_state),
	VOTE("votes", FIELD_U32, votes),
	VOTE("waits", FIELD_I64, waits),
	VOTE("support_term", FIELD_TERM, support.term),
	VOTE("support", FIELD_NAME_OR_EMPTY, support.name),
	VOTE("vote_term", FIELD_TERM, vote.term),
	VOTE("vote", FIELD_NAME_OR_EMPTY, vote.name),
	VOTE("vote_open", FIELD_BOOL, vote_open),
	VOTE("highest", FIELD_TERM, highest),
	VOTE("withdrawn", FIELD_TERM, withdrawn),
	VOTE("won", FIELD_TERM, won),
	VOTE("rule_term", FIELD_TERM, rule.term),
	VOTE("rule_epoch", FIELD_U32, rule.epoch),
	VOTE("rule_voters", FIELD_VOTERS, rule),
	VOTE("rule_witnesses", FIELD_VOTER_SET, rule.witnesses),
	VOTE("rule_eligible", FIELD_VOTER_SET, rule.eligible),
	VOTE("rule_sync", FIELD_VOTER_SET, rule.sync),
	VOTE("rule_k", FIELD_INT, rule.k),
	VOTE("candidacy", FIELD_TERM, candidacy),
	VOTE("seeks", FIELD_BOOL, seeks),
	VOTE("held", FIELD_I64, held),
	VOTE("replay_lag", FIELD_U64, replay_lag),
	VOTE("beat", FIELD_U64, beat),
	VOTE("leased", FIELD_BOOL, leased),
	VOTE("promise_term", FIELD_TERM, promise.leader.term),
	VOTE("promise", FIELD_NAME_OR_EMPTY, promise.leader.name),
	VOTE("promise_instance", FIELD_U64, promise.instance),
	VOTE("promise_beat", FIELD_U64, promise.beat),
	VOTE("promise_ttl", FIELD_I64, promise.ttl),
	VOTE("promise_age", FIELD_I64, promise_age),
	HANDOVER("released", FIELD_TERM, released),
	HANDOVER("handover_term", FIELD_TERM, handover.term),
	HANDOVER("handover", FIELD_NAME_OR_EMPTY, handover.name),
	HANDOVER("handover_lsn", FIELD_LSN, handover_lsn),
	OWN_WAL("own_wal", FIELD_BOOL, own_wal),
	REPLAY("replayed", FIELD_LSN, replayed),
	REPLAY("replay_paused", FIELD_BOOL, replay_paused),
	REPLAY("commit_age", FIELD_I64, commit_age),
	REPLAY("current_age", FIELD_I64, current_age),
};

_Static_assert(PGHA_MAX_MEMBERS <= 32, "members are kept in a 32 bit set");

#define RECORD_KEY	"event"
/* Names of all members with commas, or a whole record. */
#define VALUE_SIZE	(PGHA_MAX_MEMBERS * (PGHA_NAME_SIZE + 1) > 1024 ? PGHA_MAX_MEMBERS * (PGHA_NAME_SIZE + 1) : 1024)

bool
pgha_instance_valid(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == strlen(text);
}

/* ---- writing ---- */

static void
format_members(uint32_t set, const PghaMembers *members, char *out)
{
	size_t		length = 0;

	out[0] = '\0';
	for (int i = 0; i < members->count; i++)
	{
		if ((set & (UINT32_C(1) << i)) != 0)
			length += (size_t) snprintf(out + length, VALUE_SIZE - length, "%s%s",
										length > 0 ? "," : "", members->member[i].name);
	}
}

/* The voters of a set of the rule. */
static void
format_voters(uint32_t set, const PghaVotingRule *rule, char *out)
{
	size_t		length = 0;

	out[0] = '\0';
	for (int i = 0; i < rule->count; i++)
	{
		if ((set & (UINT32_C(1) << i)) != 0)
			length += (size_t) snprintf(out + length, VALUE_SIZE - length, "%s%s",
										length > 0 ? "," : "", rule->voter[i]);
	}
}

static void
format_field(PghaLine *line, const Field *field, const PghaReport *report, const PghaMembers *members)
{
	const void *value = (const char *) report + field->offset;
	char		names[VALUE_SIZE];

	switch (field->kind)
	{
		case FIELD_NAME:
		case FIELD_NAME_OR_EMPTY:
		case FIELD_INSTANCE:
		case FIELD_ADDRESS_STATE:
			pgha_line_addf(line, "%s=%s", field->key, (const char *) value);
			break;
		case FIELD_U64:
		case FIELD_TERM:
			pgha_line_addf(line, "%s=%llu", field->key,
						   (unsigned long long) *(const uint64_t *) value);
			break;
		case FIELD_U32:
			pgha_line_addf(line, "%s=%lu", field->key,
						   (unsigned long) *(const uint32_t *) value);
			break;
		case FIELD_I64:
			pgha_line_addf(line, "%s=%lld", field->key,
						   (long long) *(const int64_t *) value);
			break;
		case FIELD_INT:
			pgha_line_addf(line, "%s=%d", field->key, *(const int *) value);
			break;
		case FIELD_LSN:
			{
				pgha_lsn	lsn = *(const pgha_lsn *) value;

				pgha_line_addf(line, "%s=%lX/%lX", field->key,
							   (unsigned long) (lsn >> 32), (unsigned long) (lsn & 0xFFFFFFFF));
				break;
			}
		case FIELD_BOOL:
			pgha_line_addf(line, "%s=%s", field->key, *(const bool *) value ? "yes" : "no");
			break;
		case FIELD_WORD:
			{
				unsigned int number;

				memcpy(&number, value, sizeof(number));
				pgha_line_addf(line, "%s=%s", field->key,
							   number < field->word_count && field->words[number] != NULL ?
							   field->words[number] : "?");
				break;
			}
		case FIELD_MEMBERS:
			format_members(*(const uint32_t *) value, members, names);
			pgha_line_addf(line, "%s=%s", field->key, names);
			break;
		case FIELD_VOTERS:
			format_voters(UINT32_MAX, value, names);
			pgha_line_addf(line, "%s=%s", field->key, names);
			break;
		case FIELD_VOTER_SET:
			format_voters(*(const uint32_t *) value, &report->rule, names);
			pgha_line_addf(line, "%s=%s", field->key, names);
			break;
	}
}

void
pgha_report_format(PghaLine *line, const PghaReport *report, const PghaMembers *members)
{
	pgha_line_add(line, MAGIC);
	for (int i = 0; i < LENGTH(fields); i++)
	{
		if ((fields[i].since != SINCE_VOTES || report->votes != 0) &&
			(fields[i].since != SINCE_HANDOVER || report->handover.term != 0) &&
			(fields[i].since != SINCE_OWN_WAL || report->own_wal) &&
			(fields[i].since != SINCE_REPLAY || report->replayed != 0))
			format_field(line, &fields[i], report, members);
	}
}

/* A record is a line of its own in one field of the report's line. */
void
pgha_report_add_record(PghaLine *line, const PghaRecord *record)
{
	char		buffer[VALUE_SIZE];
	PghaLine	inner;

	pgha_line_init(&inner, buffer, sizeof(buffer));
	pgha_line_addf(&inner, "%llu", (unsigned long long) record->id);
	pgha_line_add(&inner, record->node);
	pgha_line_add(&inner, record->kind);
	pgha_line_addf(&inner, "%llu", (unsigned long long) record->term);
	pgha_line_add(&inner, record->what);
	if (!inner.overflow)
		pgha_line_addf(line, RECORD_KEY "=%s", buffer);
}

/* ---- reading ---- */

static bool
parse_u32(const char *text, uint32_t *value)
{
	uint64_t	wide;

	if (!pgha_parse_uint64(text, &wide) || wide > UINT32_MAX)
		return false;
	*value = (uint32_t) wide;
	return true;
}

/* Takes the next name off a list; NULL at its end, where *text is empty, and where no name comes. */
static const char *
next_name(char **text)
{
	static char no_name[] = "?";
	char	   *name = *text;
	size_t		length = strcspn(name, ",");
	bool		more = name[length] == ',';

	if (*name == '\0')
		return NULL;
	name[length] = '\0';
	if (!pgha_name_valid(name) || (more && name[length + 1] == '\0'))
	{
		*text = no_name;
		return NULL;
	}
	*text = name + length + more;
	return name;
}

/* Names that are not members here have no bit. */
static bool
parse_members(char *text, const PghaMembers *members, uint32_t *set)
{
	const char *name;

	*set = 0;
	while ((name = next_name(&text)) != NULL)
	{
		int			index = pgha_members_find(members, name);

		if (index != PGHA_NOBODY)
			*set |= UINT32_C(1) << index;
	}
	return *text == '\0';
}

static int
find_voter(const PghaVotingRule *rule, const char *name)
{
	for (int i = 0; i < rule->count; i++)
	{
		if (strcmp(rule->voter[i], name) == 0)
			return i;
	}
	return PGHA_NOBODY;
}

static bool
parse_voters(char *text, PghaVotingRule *rule)
{
	const char *name;

	while ((name = next_name(&text)) != NULL)
	{
		if (rule->count == PGHA_MAX_MEMBERS || find_voter(rule, name) != PGHA_NOBODY)
			return false;
		strcpy(rule->voter[rule->count++], name);
	}
	return *text == '\0';
}

static bool
parse_voter_set(char *text, const PghaVotingRule *rule, uint32_t *set)
{
	const char *name;

	while ((name = next_name(&text)) != NULL)
	{
		int			index = find_voter(rule, name);

		if (index == PGHA_NOBODY)
			return false;
		*set |= UINT32_C(1) << index;
	}
	return *text == '\0';
}

/* A rule is stored as it comes, and decides elections. */
static bool
is_sound(const PghaVotingRule *rule)
{
	return rule->term == 0 ||
		(rule->count > 0 && rule->eligible != 0 && (rule->eligible & rule->witnesses) == 0 &&
		 (rule->sync & rule->witnesses) == 0 && rule->k >= 0 && rule->k <= PGHA_MAX_MEMBERS);
}

/* As much as fits; `to` was all zero. */
static void
copy_sentence(char *to, const char *text, size_t size)
{
	for (size_t i = 0; text[i] != '\0' && i < size - 1; i++)
		to[i] = (text[i] >= ' ' && text[i] <= '~') ? text[i] : '?';
}

static bool
parse_field(const Field *field, char *text, const PghaMembers *members, PghaReport *report)
{
	void	   *value = (char *) report + field->offset;
	int64_t		wide;
	const char *rest = text;

	switch (field->kind)
	{
		case FIELD_NAME:
		case FIELD_NAME_OR_EMPTY:
			if (!pgha_name_valid(text) && (field->kind == FIELD_NAME || *text != '\0'))
				return false;
			strcpy(value, text);
			return true;
		case FIELD_INSTANCE:
			if (strlen(text) >= PGHA_INSTANCE_SIZE || !pgha_instance_valid(text))
				return false;
			strcpy(value, text);
			return true;
		case FIELD_ADDRESS_STATE:
			copy_sentence(value, text, PGHA_ADDRESS_STATE_SIZE);
			return true;
		case FIELD_U64:
			return pgha_parse_uint64(text, value);
		case FIELD_TERM:
			return pgha_parse_uint64(text, value) && *(uint64_t *) value <= PGHA_MAX_TERM;
		case FIELD_U32:
			return parse_u32(text, value);
		case FIELD_I64:
			return pgha_parse_int64(text, value);
		case FIELD_INT:
			if (!pgha_parse_int64(text, &wide) || wide < INT32_MIN || wide > INT32_MAX)
				return false;
			*(int *) value = (int) wide;
			return true;
		case FIELD_LSN:
			return pgha_lsn_take(&rest, value) && *rest == '\0';
		case FIELD_BOOL:
			*(bool *) value = (strcmp(text, "yes") == 0);
			return *(bool *) value || strcmp(text, "no") == 0;
		case FIELD_WORD:
			for (unsigned int i = 0; i < field->word_count; i++)
			{
				if (field->words[i] != NULL && strcmp(text, field->words[i]) == 0)
				{
					memcpy(value, &i, sizeof(i));
					return true;
				}
			}
			return false;
		case FIELD_MEMBERS:
			return parse_members(text, members, value);
		case FIELD_VOTERS:
			return parse_voters(text, value);
		case FIELD_VOTER_SET:
			return parse_voter_set(text, &report->rule, value);
	}
	return false;
}

static bool
parse_kind(const char *text, char *kind, size_t size)
{
	size_t		length = strlen(text);

	if (length == 0 || length >= size || strspn(text, "abcdefghijklmnopqrstuvwxyz_-") != length)
		return false;
	memcpy(kind, text, length + 1);
	return true;
}

static bool
parse_record(char *text, PghaRecord *record)
{
	char	   *cursor = text;
	char	   *part[5];
	size_t		i;

	for (i = 0; i < 5; i++)
	{
		part[i] = pgha_line_next(&cursor);
		if (part[i] == NULL)
			return false;
	}

	memset(record, 0, sizeof(*record));
	if (!pgha_parse_uint64(part[0], &record->id) ||
		!pgha_name_valid(part[1]) ||
		!parse_kind(part[2], record->kind, sizeof(record->kind)) ||
		!pgha_parse_uint64(part[3], &record->term))
		return false;
	strcpy(record->node, part[1]);
	copy_sentence(record->what, part[4], sizeof(record->what));
	return true;
}

/* Are all of the first fields there, and of those that came later all that came together, or none? */
static bool
is_complete(const bool *seen)
{
	bool		some[SINCE_COUNT] = {[SINCE_FIRST] = true};

	for (int i = 0; i < LENGTH(fields); i++)
		some[fields[i].since] |= seen[i];
	for (int i = 0; i < LENGTH(fields); i++)
	{
		if (some[fields[i].since] && !seen[i])
			return false;
	}
	return true;
}

bool
pgha_report_parse(char *text, const PghaMembers *members, PghaReport *report,
				  void (*record) (const PghaRecord *record, void *arg), void *arg)
{
	char	   *cursor = text;
	char	   *field;
	bool		seen[LENGTH(fields)] = {false};

	memset(report, 0, sizeof(*report));
	field = pgha_line_next(&cursor);
	if (field == NULL || strcmp(field, MAGIC) != 0)
		return false;

	while ((field = pgha_line_next(&cursor)) != NULL)
	{
		char	   *value = strchr(field, '=');

		if (value == NULL)
			return false;
		*value++ = '\0';

		if (strcmp(field, RECORD_KEY) == 0)
		{
			PghaRecord	parsed;

			if (!parse_record(value, &parsed))
				return false;
			if (record != NULL)
				record(&parsed, arg);
			continue;
		}

		for (int i = 0; i < LENGTH(fields); i++)
		{
			if (strcmp(field, fields[i].key) != 0)
				continue;
			if (seen[i] || !parse_field(&fields[i], value, members, report))
				return false;
			seen[i] = true;
			break;
		}
	}
	return is_complete(seen) && is_sound(&report->rule);
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r' && c != '\n');
}

/*
 * One line "<timeline> <hi>/<lo> <reason>".  Something must follow the LSN: one
 * that was cut short cannot be told from a smaller one.
 */
static bool
parse_history_entry(const char *text, PghaHistoryEntry *entry)
{
	uint64_t	timeline = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
	{
		timeline = timeline * 10 + (uint64_t) (*p - '0');
		if (timeline > UINT32_MAX)
			return false;
	}
	if (timeline == 0 || !is_blank(*p))
		return false;
	while (is_blank(*p))
		p++;
	entry->timeline = (uint32_t) timeline;
	return pgha_lsn_take(&p, &entry->end) && (*p == '\n' || is_blank(*p));
}

bool
pgha_history_parse(const char *text, uint32_t timeline, PghaHistory *history)
{
	const char *line = text;

	memset(history, 0, sizeof(*history));
	history->timeline = timeline;
	history->shortened = strncmp(text, PGHA_HISTORY_SHORTENED, strlen(PGHA_HISTORY_SHORTENED)) == 0;

	while (*line != '\0')
	{
		const char *end = strchr(line, '\n');

		while (is_blank(*line))
			line++;
		if (*line != '\0' && *line != '\n' && *line != '#')
		{
			PghaHistoryEntry entry;
			const PghaHistoryEntry *parent = history->count > 0 ? &history->entry[history->count - 1] : NULL;

			if (!parse_history_entry(line, &entry) ||
				entry.timeline >= timeline ||
				(parent != NULL &&
				 (entry.timeline <= parent->timeline || entry.end < parent->end)))
				return false;
			if (history->count == PGHA_MAX_HISTORY)
			{
				history->count--;
				memmove(history->entry, history->entry + 1, (size_t) history->count * sizeof(entry));
				history->shortened = true;
			}
			history->entry[history->count++] = entry;
		}
		if (end == NULL)
			break;
		line = end + 1;
	}

	/* Only the first timeline has no parent. */
	return history->count > 0 || timeline == 1;
}
