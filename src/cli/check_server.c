/*
 * check_server.c
 *		Checks of `pgha check` on the server that was asked: replay, commits that
 *		wait, slots, configuration.
 *
 * They judge what check.c has fetched, and ask nothing.
 */
#include "check_items.h"

#include <stdio.h>
#include <string.h>

#include "../common/members.h"
#include "check_limits.h"
#include "cluster.h"

/* ---- replay ---- */

static void
put_lag(PghaCheckContext *check, const char *node, double value)
{
	const PghaLimits *limits = &check->limits[PGHA_CHECK_REPLAY_LAG];
	char		texts[2][PGHA_LIMIT_TEXT];
	char		label[PGHA_NAME_SIZE + 8];
	char		amount[2][PGHA_LIMIT_TEXT];
	PghaCheckState state = pgha_check_above(limits, value);

	(void) snprintf(label, sizeof(label), "lag_%s", node);
	pgha_check_value(&check->report, label, value, limits->unit == PGHA_LIMIT_BYTES ? "B" : "s",
					 pgha_check_limit_text(limits->warning, false, texts[0]),
					 pgha_check_limit_text(limits->critical, false, texts[1]), -1);
	if (value < 0)
		pgha_check_find(&check->report, "replay-lag", PGHA_CHECK_UNKNOWN, "it is not known how far %s has replayed", node);
	else
		pgha_check_find(&check->report, "replay-lag", state, "%s replays %s behind the primary%s%s", node,
						pgha_check_amount(limits->unit, value, amount[0]), state == PGHA_CHECK_OK ? "" : ", more than ",
						state == PGHA_CHECK_OK ? "" :
						pgha_check_amount(limits->unit, state == PGHA_CHECK_CRITICAL ? limits->critical : limits->warning, amount[1]));
}

static void
put_paused(PghaCheckContext *check, const char *node)
{
	pgha_check_find(&check->report, "replay-lag", PGHA_CHECK_WARNING,
					"replay is paused on %s (SELECT pg_wal_replay_resume() there ends that)", node);
}

static double
number_or_unknown(const json_t *value)
{
	return json_is_number(value) ? json_number_value(value) : -1;
}

/* A lag in the unit of the limits; -1: not known.  Whoever has replayed all is not behind in time either. */
static double
choose_lag(const PghaCheckContext *check, double bytes, double seconds)
{
	if (check->limits[PGHA_CHECK_REPLAY_LAG].unit == PGHA_LIMIT_BYTES)
		return bytes;
	return bytes == 0 ? 0 : seconds;
}

/* What a member says of its own replay, from version 1.1 of the extension on; of one that does not answer it is long past. */
static double
reported_lag(const PghaCheckContext *check, const json_t *member)
{
	if (!json_is_true(json_object_get(member, "reachable")))
		return -1;
	return choose_lag(check, number_or_unknown(json_object_get(member, "replay_lag_bytes")),
					  number_or_unknown(json_object_get(member, "time_lag_seconds")));
}

static double
lag_of(const PghaCheckContext *check, const json_t *object)
{
	return choose_lag(check, number_or_unknown(json_object_get(object, "bytes")), number_or_unknown(json_object_get(object, "seconds")));
}

/*
 * Of the standby that was asked.  Without a leader that answers nobody knows what there is to
 * replay; it is no less than what was heard of.
 */
static double
own_lag(const PghaCheckContext *check, const json_t *replay)
{
	const json_t *own = pgha_member_of(check->cluster, check->node);
	char		names[1024];
	double		lag = json_object_get(own, "replay_lag_bytes") != NULL ? reported_lag(check, own) : lag_of(check, replay);

	if (pgha_list_primaries(check->members, names, sizeof(names)) > 0 ||
		pgha_check_above(&check->limits[PGHA_CHECK_REPLAY_LAG], lag) != PGHA_CHECK_OK)
		return lag;
	return -1;
}

static const json_t *
find_sender(const PghaCheckContext *check, const char *node)
{
	size_t		index;
	const json_t *sender;

	json_array_foreach(json_object_get(check->server, "senders"), index, sender)
		if (pgha_has_text(sender, "name", node))
			return sender;
	return NULL;
}

/* The primary sees how far each standby is; one that does not stream is another check's matter. */
static void
check_senders(PghaCheckContext *check)
{
	int			told = 0;
	size_t		index;
	const json_t *member;

	json_array_foreach(check->members, index, member)
	{
		const char *node = pgha_check_text(member, "node");
		const json_t *sender = find_sender(check, node);
		double		lag = sender != NULL ? lag_of(check, sender) : -1;

		if (json_is_true(json_object_get(member, "witness")) || strcmp(node, check->node) == 0)
			continue;
		told++;
		if (json_is_true(json_object_get(member, "replay_paused")))
			put_paused(check, node);
		if (lag < 0)
			lag = reported_lag(check, member);	/* as one that streams from another standby */
		if (lag >= 0 || sender != NULL || check->named || json_is_true(json_object_get(member, "reachable")))
			put_lag(check, node, lag);
	}
	if (told == 0)
		pgha_check_find(&check->report, "replay-lag", check->named ? PGHA_CHECK_UNKNOWN : PGHA_CHECK_OK, "there is no standby");
}

void
pgha_check_replay_lag(PghaCheckContext *check)
{
	const json_t *replay = json_object_get(check->server, "replay");

	if (check->witness)
		pgha_check_elsewhere(check, "replay-lag", "a witness replays nothing");
	else if (check->primary)
		check_senders(check);
	else if (!json_is_object(replay))
		pgha_check_find(&check->report, "replay-lag", PGHA_CHECK_UNKNOWN, "%s has just changed its role", check->node);
	else
	{
		put_lag(check, check->node, own_lag(check, replay));
		if (json_is_true(json_object_get(replay, "paused")))
			put_paused(check, check->node);
	}
}

/* ---- commits that wait ---- */

/* Adds what pgha_doctor() has found, of those whose names begin so (or do not); the number of them. */
static int
put_findings(PghaCheckContext *check, const char *name, const char *beginning, bool with, const char *not_this)
{
	int			count = 0;
	size_t		index;
	const json_t *finding;

	json_array_foreach(json_object_get(check->server, "findings"), index, finding)
	{
		const char *which = pgha_check_text(finding, "check");

		if ((strncmp(which, beginning, strlen(beginning)) == 0) != with || strcmp(which, not_this) == 0)
			continue;
		pgha_check_find(&check->report, name, PGHA_CHECK_WARNING, "%s of %s: %s", which, check->node, pgha_check_text(finding, "finding"));
		count++;
	}
	return count;
}

void
pgha_check_sync(PghaCheckContext *check)
{
	const PghaLimits *limits = &check->limits[PGHA_CHECK_SYNC];
	double		longest = 0;
	char		texts[3][PGHA_LIMIT_TEXT];
	size_t		index;
	const json_t *wait;
	PghaCheckState state;

	if (!check->primary)
	{
		pgha_check_elsewhere(check, "sync", "this server is no primary, where commits would wait");
		return;
	}
	json_array_foreach(check->waits, index, wait)
	{
		double		seconds = json_number_value(json_object_get(wait, "seconds"));

		longest = seconds > longest ? seconds : longest;
	}
	state = pgha_check_above(limits, longest);
	if (put_findings(check, "sync", "synchronous_", true, "") == 0 && state == PGHA_CHECK_OK)
		pgha_check_find(&check->report, "sync", state, "no commit waits for a standby for long");
	if (state != PGHA_CHECK_OK)
		pgha_check_find(&check->report, "sync", state, "%d sessions wait for a standby to confirm, the longest for %s",
						(int) json_array_size(check->waits), pgha_check_amount(PGHA_LIMIT_SECONDS, longest, texts[2]));
	pgha_check_value(&check->report, "sync_wait", longest, "s", pgha_check_limit_text(limits->warning, false, texts[0]),
					 pgha_check_limit_text(limits->critical, false, texts[1]), -1);
	pgha_check_value(&check->report, "sync_waiting", (double) json_array_size(check->waits), "", NULL, NULL, -1);
}

/* ---- slots ---- */

/* The member whose slot it is, or NULL. */
static const json_t *
owner_of(const PghaCheckContext *check, const char *slot)
{
	size_t		index;
	const json_t *member;

	json_array_foreach(check->members, index, member)
	{
		const char *node = pgha_check_text(member, "node");
		char		name[64];

		if (json_is_true(json_object_get(member, "witness")) || strcmp(node, check->node) == 0 || !pgha_name_valid(node))
			continue;
		pgha_slot_name(node, name);
		if (strcmp(name, slot) == 0)
			return member;
	}
	return NULL;
}

static bool
check_slot(PghaCheckContext *check, const json_t *slot)
{
	const PghaLimits *limits = &check->limits[PGHA_CHECK_SLOTS];
	const char *name = pgha_check_text(slot, "name");
	const char *wal_status = pgha_check_text(slot, "wal_status");
	const json_t *member = owner_of(check, name);
	const json_t *bytes = json_object_get(slot, "bytes");
	double		kept = json_is_number(bytes) ? json_number_value(bytes) : -1;
	bool		active = json_is_true(json_object_get(slot, "active"));
	char		whose[PGHA_NAME_SIZE + 32] = ", which is not pgha's,";
	char		texts[3][PGHA_LIMIT_TEXT];
	char		label[80];
	PghaCheckState state = kept < 0 ? PGHA_CHECK_OK : pgha_check_above(limits, kept);

	if (member != NULL)
		(void) snprintf(whose, sizeof(whose), " of %s", pgha_check_text(member, "node"));
	(void) snprintf(label, sizeof(label), "slot_%s", name);
	if (kept >= 0)
		pgha_check_value(&check->report, label, kept, "B", pgha_check_limit_text(limits->warning, false, texts[0]),
						 pgha_check_limit_text(limits->critical, false, texts[1]), -1);
	if (strcmp(wal_status, "lost") == 0 || strcmp(wal_status, "unreserved") == 0)
		pgha_check_find(&check->report, "slots", member != NULL && wal_status[0] == 'l' ? PGHA_CHECK_CRITICAL : PGHA_CHECK_WARNING,
						wal_status[0] == 'l' ? "slot %s%s has lost WAL that is needed" : "slot %s%s is about to lose WAL that is needed",
						name, whose);
	else if (state != PGHA_CHECK_OK)
		pgha_check_find(&check->report, "slots", state, "slot %s%s keeps %s of WAL", name, whose,
						pgha_check_amount(PGHA_LIMIT_BYTES, kept, texts[2]));
	else if (!active && member != NULL && json_is_true(json_object_get(member, "reachable")))
		pgha_check_find(&check->report, "slots", PGHA_CHECK_WARNING, "slot %s%s is not in use, although that member runs", name, whose);
	else if (!active && member == NULL && kept >= 0)
		pgha_check_find(&check->report, "slots", PGHA_CHECK_WARNING, "slot %s%s is not in use and keeps %s of WAL", name, whose,
						pgha_check_amount(PGHA_LIMIT_BYTES, kept, texts[2]));
	else
		return true;
	return false;
}

void
pgha_check_slots(PghaCheckContext *check)
{
	bool		sound = true;
	size_t		index;
	const json_t *slot;

	if (!check->primary)
	{
		pgha_check_elsewhere(check, "slots", "this server is no primary, whose slots keep what is needed");
		return;
	}
	if (!json_is_array(json_object_get(check->server, "slots")))
		pgha_check_find(&check->report, "slots", PGHA_CHECK_UNKNOWN, "the slots of %s cannot be read", check->node);
	json_array_foreach(json_object_get(check->server, "slots"), index, slot)
		sound = check_slot(check, slot) && sound;
	if (sound)
		pgha_check_find(&check->report, "slots", PGHA_CHECK_OK, "no slot keeps back more WAL than it should");
}

/* ---- configuration ---- */

/* What pgha_doctor() says of the files and of the other members' settings, and of synchronous standbys. */
void
pgha_check_settings(PghaCheckContext *check)
{
	const json_t *findings = json_object_get(check->server, "findings");
	const char *error = pgha_check_text(check->status, "config_error");
	int			bad = 0;

	if (*error != '\0')
	{
		pgha_check_find(&check->report, "settings", PGHA_CHECK_WARNING, "settings of %s: %s", check->node, error);
		bad++;
	}
	if (!json_is_array(findings))
		pgha_check_find(&check->report, "settings", PGHA_CHECK_UNKNOWN, "pgha_doctor() of %s does not answer", check->node);

	/* What stands in config_error is the same in other words. */
	bad += put_findings(check, "settings", "synchronous_", false, *error != '\0' ? "configuration" : "");
	if (bad == 0 && json_is_array(findings))
		pgha_check_find(&check->report, "settings", PGHA_CHECK_OK, "the settings in the files are in force, and the same on all members");
}
