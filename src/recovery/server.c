/*
 * server.c
 *		The own server during a recovery: started, stopped, and watched until it
 *		is clear what becomes of it.
 *
 * The judge is the server's own monitor: started as a standby, it compares its
 * WAL with the leader's history, and either follows or says that it has
 * diverged.  A server that is started here for the first time after a crash
 * decides by itself, with the other members, whether it may be a primary
 * (server/boot.c); where a leader is known it is told to be a standby beforehand.
 *
 * What rejoining, rewinding and cloning need of it; which of them comes next is
 * none of its business.
 */
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/extension.h"
#include "../common/log.h"
#include "../common/lsn.h"
#include "../host/durable.h"
#include "../host/server_ctl.h"
#include "../host/startup.h"
#include "leader.h"
#include "own.h"

#define START_LIMIT_MS		(24 * 3600 * 1000)	/* crash recovery takes what it takes; it can be cancelled */
#define START_AGAIN_LIMIT_MS	60000
#define STOP_LIMIT_MS		300000
#define LOOK_EVERY_MS		200
/* Without any change in what the server does: */
#define STUCK_S				600
/* A server that does not stream although the leader is there: is its WAL gone? */
#define WAL_GONE_AFTER_S	20
/* One that does not come up, nor replays anything, although the leader is there: */
#define NOT_UP_S			300
/* Or is it the same only by its number? */
#define PARTED_AFTER_S		10

/* ---- start and stop ---- */

bool
pgha_write_standby_signal(PghaJobRun *run)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/standby.signal", run->conf->data);
	if (pgha_write_file(path, "", 0, 0600, true))
		return true;
	return pgha_job_fail(run, errno == ENOSPC || errno == EDQUOT ? STATE_DISK_FULL : STATE_IO, NULL, NULL,
						 "could not create file \"%s\": %s", path, strerror(errno));
}

/*
 * Tells a former primary, before it starts, of which term its successor is
 * (server/boot.c): it must not lead again because the network fails just then.
 * Best effort; without it the server asks the members itself.
 */
static void
tell_term(PghaJobRun *run)
{
	char		path[PATH_MAX + 32];
	char		query[256];
	char		error[512];
	PGconn	   *conn = pgha_job_connect(run, run->leader, NULL, error, sizeof(error));
	char	   *schema;
	char	   *term = NULL;

	if (conn == NULL)
		return;
	schema = pgha_member_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
	if (schema != NULL && *schema != '\0')
	{
		(void) snprintf(query, sizeof(query), "SELECT term FROM %s.pgha_status() WHERE state = 'primary'", schema);
		term = pgha_member_query(conn, query, NULL, error, sizeof(error));
	}
	(void) snprintf(path, sizeof(path), "%s/pgha.follow", run->conf->data);
	if (term != NULL && *term != '\0' && !pgha_write_file(path, term, strlen(term), 0600, true))
		pgha_agent_warning("could not write file \"%s\": %s", path, strerror(errno));
	free(term);
	free(schema);
	PQfinish(conn);
}

/* Segment that a server which has not come up yet begins with; false if that cannot be told. */
static bool
first_segment(PghaJobRun *run, const PghaControl *control, uint64_t *segment)
{
	char		path[PATH_MAX + 32];
	char	   *label;
	const char *start;
	pgha_lsn	lsn = control->checkpoint_lsn;

	(void) snprintf(path, sizeof(path), "%s/backup_label", run->conf->data);
	label = pgha_read_file(path, NULL);
	if (label == NULL && errno != ENOENT)
		return false;
	start = label != NULL ? strstr(label, "START WAL LOCATION: ") : NULL;
	if (start != NULL)
		lsn = pgha_lsn_of(start + strlen("START WAL LOCATION: "));
	free(label);
	*segment = lsn / (uint64_t) control->wal_segment_size;
	return lsn != 0 && control->wal_segment_size > 0;
}

/* Is there a file for this segment in pg_wal, of whatever timeline?  In doubt: yes. */
static bool
has_segment(PghaJobRun *run, const char *name)
{
	char		path[PATH_MAX + 32];
	DIR		   *dir;
	struct dirent *entry;
	bool		found = false;

	(void) snprintf(path, sizeof(path), "%s/pg_wal", run->conf->data);
	dir = opendir(path);
	if (dir == NULL)
		return true;
	while (!found && (entry = readdir(dir)) != NULL)
		found = strlen(entry->d_name) == 24 && strcmp(entry->d_name + 8, name) == 0;
	(void) closedir(dir);
	return found;
}

/*
 * Is the WAL that a server which does not come up needs next neither on the leader,
 * nor to be had from an archive?  Its startup process says which that is; where it
 * does not, only the first one is known.  `name` (17 bytes) gets the segment.
 */
static bool
needed_wal_is_gone(PghaJobRun *run, const PghaStartup *startup, char *name)
{
	char		error[600];
	PghaControl control;
	uint64_t	segment;
	uint64_t	per_id;
	PGconn	   *conn;
	char	   *answer;
	bool		gone;

	if (run->leader == PGHA_NOBODY || run->conf->restore_command[0] != '\0')
		return false;
	if (startup->segment[0] != '\0')
		(void) snprintf(name, 17, "%s", startup->segment + 8);
	else
	{
		if (!pgha_server_control(run->conf, &control, error, sizeof(error)) ||
			!first_segment(run, &control, &segment))
			return false;
		per_id = UINT64_C(0x100000000) / (uint64_t) control.wal_segment_size;
		(void) snprintf(name, 17, "%08X%08X", (unsigned) (segment / per_id), (unsigned) (segment % per_id));
		if (has_segment(run, name))
			return false;
	}
	conn = pgha_job_connect(run, run->leader, NULL, error, sizeof(error));
	if (conn == NULL)
		return false;
	answer = pgha_member_query(conn, "SELECT count(*) FROM pg_catalog.pg_ls_waldir()"
							   " WHERE length(name) = 24 AND substr(name, 9) <= $1", name, error, sizeof(error));
	gone = answer != NULL && strcmp(answer, "0") == 0;
	free(answer);
	PQfinish(conn);
	return gone;
}

static bool
leader_answers(PghaJobRun *run)
{
	char		error[600];
	PGconn	   *conn = run->leader != PGHA_NOBODY ? pgha_job_connect(run, run->leader, NULL, error, sizeof(error)) : NULL;

	PQfinish(conn);
	return conn != NULL;
}

/* A server that is waited for, and does not accept connections yet. */
typedef struct NotUp
{
	PghaJobRun *run;
	PghaStartupWatch watch;
	int64_t		looked;			/* seconds on a clock that never jumps */
	int64_t		judged;
	bool		gets_on;		/* it replays */
	bool		in_vain;		/* pgha_job_fail() has said why */
	char		told[600];		/* what it waits for, as it was logged */
} NotUp;

/* Says in the log, once, what a server that stands waits for. */
static void
tell_standing(NotUp *not_up, char *text, size_t size)
{
	const PghaStartup *now = &not_up->watch.now;

	text[0] = '\0';
	if (now->segment[0] == '\0')
		return;
	(void) snprintf(text, size, "its startup process says \"%s\", and its WAL receiver %s%s%s", now->startup,
					now->receiver[0] != '\0' ? "\"" : "is not there", now->receiver,
					now->receiver[0] != '\0' ? "\"" : "");
	if (strcmp(text, not_up->told) == 0)
		return;
	(void) snprintf(not_up->told, sizeof(not_up->told), "%s", text);
	pgha_agent_warning("recovery: the server does not come up: %s", text);
}

/*
 * Looks at the server; once a second is enough.  Will it not come up any more?  It
 * will not if the WAL that it needs is gone.  If it is not known why it stands
 * although the leader is there, it is given up after a while.  In both cases the
 * SQLSTATE is that of a file that is missing: a clone helps.
 */
static bool
is_in_vain(NotUp *not_up)
{
	PghaJobRun *run = not_up->run;
	const PghaStartup *startup = &not_up->watch.now;
	int64_t		now = pgha_awake_ms() / 1000;
	char		text[600];
	char		segment[17];
	int			stands;

	if (now == not_up->looked || not_up->in_vain)
		return not_up->in_vain;
	not_up->looked = now;
	stands = pgha_startup_stands(run->conf, &not_up->watch);
	not_up->gets_on = stands == 0 && startup->segment[0] != '\0';
	if (startup->up || not_up->gets_on || (startup->segment[0] != '\0' && stands < WAL_GONE_AFTER_S))
		return false;
	tell_standing(not_up, text, sizeof(text));
	if (now - not_up->judged < WAL_GONE_AFTER_S)
		return false;
	not_up->judged = now;
	if (needed_wal_is_gone(run, startup, segment))
	{
		pgha_job_fail(run, STATE_UNDEFINED_FILE, NULL, "The method clone builds the node anew.",
					  "the server waits for WAL segment %s, which the primary \"%s\" no longer has",
					  segment, run->conf->members.member[run->leader].name);
		not_up->in_vain = true;
	}
	else if (stands >= NOT_UP_S && leader_answers(run))
	{
		pgha_job_fail(run, STATE_UNDEFINED_FILE, text, "See the server's log. The method clone builds the node anew.",
					  "the server has not come up, and has not replayed anything for %d seconds", stands);
		not_up->in_vain = true;
	}
	return not_up->in_vain;
}

/* For pgha_server_start(): is it cancelled, or in vain? */
static bool
give_start_up(void *arg)
{
	NotUp	   *not_up = arg;

	return pgha_job_cancelled(not_up->run) || is_in_vain(not_up);
}

bool
pgha_job_prove_down(PghaJobRun *run)
{
	char		error[PGHA_WHY_SIZE + PATH_MAX];

	return pgha_server_proven_down(run->conf, error, sizeof(error)) ||
		pgha_job_fail(run, STATE_NOT_IN_STATE, error, "Stop what runs there by hand, and try again.",
					  "it is not certain that the server of node \"%s\" is down; nothing was changed",
					  run->conf->members.member[run->conf->self].name);
}

bool
pgha_start(PghaJobRun *run)
{
	char		error[600];
	NotUp		not_up = {.run = run, .judged = pgha_awake_ms() / 1000};
	pid_t		pid;

	if (pgha_server_look(run->conf, &pid) == PGHA_SERVER_RUNNING)
	{
		run->stopped = run->was_stopped = false;
		return true;
	}
	if (!pgha_job_prove_down(run))
		return false;
	if (run->leader != PGHA_NOBODY && run->leader != run->conf->self)
	{
		tell_term(run);
		if (!pgha_write_standby_signal(run))
			return false;
	}
	if (!pgha_job_phase(run, "starting", "starts the server"))
		return false;
	if (pgha_server_start(run->conf, START_LIMIT_MS, give_start_up, &not_up, error, sizeof(error)))
	{
		run->stopped = run->was_stopped = false;
		return true;
	}
	if (!pgha_job_check_cancel(run))
		return false;
	if (not_up.in_vain)
		return false;
	return pgha_job_fail(run, STATE_NOT_IN_STATE, error,
						 "See the server's log: \"pgha agent --check\" there prints where it is. The method clone builds the node anew.",
						 "the server of node \"%s\" could not be started",
						 run->conf->members.member[run->conf->self].name);
}

void
pgha_start_again(PghaJobRun *run)
{
	char		path[PATH_MAX + 32];
	char		error[600] = "standby.signal cannot be written";
	pid_t		pid;

	if (run->held)
		return;

	/* Without pgha_job_fail(): the reason of the failure stays. */
	(void) snprintf(path, sizeof(path), "%s/standby.signal", run->conf->data);
	if (pgha_server_look(run->conf, &pid) == PGHA_SERVER_RUNNING ||
		(pgha_server_proven_down(run->conf, error, sizeof(error)) && pgha_write_file(path, "", 0, 0600, true) &&
		 pgha_server_start(run->conf, START_AGAIN_LIMIT_MS, NULL, NULL, error, sizeof(error))))
		run->stopped = false;
	else
		pgha_agent_error("the server could not be started again: %s", error);
}

bool
pgha_stop(PghaJobRun *run)
{
	char		error[600];
	PghaControl control;

	if (!pgha_server_proven_down(run->conf, error, sizeof(error)))
	{
		run->stopped = true;
		run->stop_written = 0;
		if (!pgha_job_phase(run, "stopping", "stops the server"))
			return false;
		if (!pgha_server_stop(run->conf, "fast", STOP_LIMIT_MS, pgha_job_cancelled, run, error, sizeof(error)))
			return pgha_job_fail(run, STATE_NOT_IN_STATE, error, "Stop it by hand, and try again.",
								 "the server could not be stopped");
	}
	if (!pgha_server_control(run->conf, &control, error, sizeof(error)))
		return pgha_job_fail(run, STATE_IO, error, "The method clone builds the node anew.",
							 "the data directory cannot be read");
	if (strncmp(control.state, "shut down", 9) != 0)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, NULL,
							 "the server was not shut down cleanly: pg_control says \"%s\"", control.state);
	return true;
}

/* ---- what becomes of it ---- */

/* What the own server says of itself. */
typedef struct Look
{
	char		state[32];
	char		leader[PGHA_NAME_SIZE];
	char		receiver[32];	/* pg_stat_wal_receiver.status */
	char		flushed[32];
	char		replayed[32];
	pgha_lsn end;
} Look;

static void
copy_field(const PGresult *result, int column, char *out, size_t size)
{
	(void) snprintf(out, size, "%s", PQgetvalue(result, 0, column));
}

static bool
look_at_server(PghaJobRun *run, Look *look, char *error, size_t error_size)
{
	PGconn	   *conn = pgha_job_connect(run, run->conf->self, NULL, error, error_size);
	char	   *schema;
	char		query[600];
	PGresult   *result;
	bool		seen = false;

	memset(look, 0, sizeof(*look));
	if (conn == NULL)
		return false;
	schema = pgha_member_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, error_size);
	if (schema != NULL && *schema == '\0')
		pgha_fail(error, error_size, "the extension pgha is not in database \"%s\"", PQdb(conn));
	else if (schema != NULL)
	{
		(void) snprintf(query, sizeof(query),
						"SELECT s.state, coalesce(s.leader, ''), coalesce(r.status, ''),"
						" coalesce(s.flushed_lsn::text, ''), coalesce(s.replayed_lsn::text, '')"
						" FROM %s.pgha_status() s LEFT JOIN pg_catalog.pg_stat_wal_receiver r ON true", schema);
		result = PQexec(conn, query);
		seen = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
		if (seen)
		{
			copy_field(result, 0, look->state, sizeof(look->state));
			copy_field(result, 1, look->leader, sizeof(look->leader));
			copy_field(result, 2, look->receiver, sizeof(look->receiver));
			copy_field(result, 3, look->flushed, sizeof(look->flushed));
			copy_field(result, 4, look->replayed, sizeof(look->replayed));
			look->end = pgha_lsn_of(look->flushed);
		}
		else
			pgha_fail(error, error_size, "%s", PQresultErrorMessage(result));
		PQclear(result);
	}
	free(schema);
	PQfinish(conn);
	return seen;
}

/* WAL position of the leader, which the own server is to reach; 0 if it cannot be had. */
static pgha_lsn
leader_position(PghaJobRun *run)
{
	char		error[512];
	PGconn	   *conn = pgha_job_connect(run, run->leader, NULL, error, sizeof(error));
	char	   *text;
	pgha_lsn lsn = 0;

	if (conn == NULL)
		return 0;
	text = pgha_member_query(conn, "SELECT pg_catalog.pg_current_wal_flush_lsn()", NULL, error, sizeof(error));
	if (text != NULL)
		lsn = pgha_lsn_of(text);
	free(text);
	PQfinish(conn);
	return lsn;
}

/*
 * Does the leader no longer have the WAL after `end`?  Its slot for this node
 * says so, or the segment is missing there on all timelines.
 */
static bool
wal_is_gone(PghaJobRun *run, pgha_lsn end)
{
	char		error[512];
	char		parameter[64];
	char		slot[64];
	PGconn	   *conn = pgha_job_connect(run, run->leader, NULL, error, sizeof(error));
	char	   *answer;
	bool		gone = false;

	if (conn == NULL)
		return false;
	pgha_slot_name(run->conf->members.member[run->conf->self].name, slot);
	answer = pgha_member_query(conn, "SELECT count(*) FROM pg_catalog.pg_replication_slots"
							   " WHERE slot_name = $1 AND wal_status = 'lost'", slot, error, sizeof(error));
	gone = answer != NULL && strcmp(answer, "1") == 0;
	free(answer);
	if (!gone)
	{
		/* WAL that ends with a segment goes on in the next one; of such an end pg_walfile_name() names the former one, before 17. */
		(void) snprintf(parameter, sizeof(parameter), PGHA_LSN_FORMAT, PGHA_LSN_ARGS(end + 1));
		answer = pgha_member_query(conn, "SELECT count(*) FROM pg_catalog.pg_ls_waldir()"
								   " WHERE length(name) = 24 AND substr(name, 9) <="
								   " substr(pg_catalog.pg_walfile_name($1::pg_lsn), 9)",
								   parameter, error, sizeof(error));
		gone = answer != NULL && strcmp(answer, "0") == 0;
		free(answer);
	}
	PQfinish(conn);
	return gone;
}

/* Does this node's WAL part from the leader's, although it follows it? */
static bool
has_parted(PghaJobRun *run)
{
	static PghaOwnAnswer answer;
	PGconn	   *leader = pgha_job_leader(run);
	PghaOwn		own = PGHA_OWN_UNKNOWN;

	if (leader != NULL)
		own = pgha_own_ask(run, leader, &answer);
	PQfinish(leader);
	pgha_job_forget_failure(run);
	return own == PGHA_OWN_PROVEN || (own == PGHA_OWN_UNKNOWN && answer.parted);
}

static void
learn_leader(PghaJobRun *run, const Look *look)
{
	int			leader = pgha_members_find(&run->conf->members, look->leader);

	if (leader != PGHA_NOBODY && leader != run->conf->self)
		run->leader = leader;
}

PghaVerdict
pgha_await_verdict(PghaJobRun *run)
{
	Look		look;
	Look		before = {.state = ""};
	char		error[600] = "";
	int64_t		changed = pgha_awake_ms() / 1000;
	int64_t		not_streaming_since = changed;
	int64_t		stuck_since = changed;
	NotUp		not_up = {.run = run, .judged = changed};
	pgha_lsn goal = 0;
	pgha_lsn first = 0;
	pid_t		pid;

	if (!pgha_job_phase(run, "streaming", "waits until the server streams from the primary"))
		return PGHA_VERDICT_FAILED;
	for (;;)
	{
		bool		seen = look_at_server(run, &look, error, sizeof(error));
		int64_t		now = pgha_awake_ms() / 1000;

		if (!pgha_job_check_cancel(run))
			return PGHA_VERDICT_FAILED;
		if (seen)
		{
			bool		streams = strcmp(look.state, "standby") == 0 && strcmp(look.receiver, "streaming") == 0;

			learn_leader(run, &look);
			run->wal_end = look.end;
			if (strcmp(look.state, "primary") == 0)
				return PGHA_VERDICT_PRIMARY;
			if (strcmp(look.state, "diverged") == 0 && run->leader != PGHA_NOBODY)
				return PGHA_VERDICT_DIVERGED;
			if (streams && goal == 0 && run->leader != PGHA_NOBODY)
			{
				goal = leader_position(run);
				first = pgha_lsn_of(look.replayed);
			}
			if (streams && goal != 0 && pgha_lsn_of(look.replayed) >= goal)
				return PGHA_VERDICT_STREAMS;
			if (goal > first)
				pgha_job_progress(run, (int64_t) (pgha_lsn_of(look.replayed) - first), (int64_t) (goal - first));
			/* One that is refused in turns has no replay that moves. */
			if (strcmp(look.replayed, before.replayed) != 0)
				stuck_since = now;
			if (now - stuck_since >= PARTED_AFTER_S && strcmp(look.state, "standby") == 0 && run->leader != PGHA_NOBODY)
			{
				if (has_parted(run))
					return PGHA_VERDICT_DIVERGED;
				stuck_since = now;
			}
			if (streams)
				not_streaming_since = now;
			if (!streams && strcmp(look.state, "standby") == 0 && run->leader != PGHA_NOBODY &&
				now - not_streaming_since >= WAL_GONE_AFTER_S && wal_is_gone(run, look.end))
			{
				pgha_job_fail(run, STATE_UNDEFINED_FILE, NULL,
							  "The method clone builds the node anew.",
							  "the primary \"%s\" no longer has the WAL that this node needs next, from %s on",
							  run->conf->members.member[run->leader].name, look.flushed);
				return PGHA_VERDICT_WAL_GONE;
			}
			if (memcmp(&look, &before, sizeof(look)) != 0)
				changed = now;
			before = look;
			not_up = (NotUp) {.run = run, .judged = now};
		}
		else if (is_in_vain(&not_up))
			return PGHA_VERDICT_WAL_GONE;
		else if (not_up.gets_on)
			changed = now;
		if (pgha_server_look(run->conf, &pid) != PGHA_SERVER_RUNNING)
		{
			/* It may be between a crash and its restart by its own doing. */
			if (now - changed > 10)
			{
				pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "See the server's log.", "the server has ended");
				return PGHA_VERDICT_FAILED;
			}
		}
		else if (now - changed > STUCK_S)
		{
			pgha_job_fail(run, STATE_NOT_IN_STATE, seen ? NULL : error,
						  "See pgha_status() there and the server's log.",
						  "the server has not come to stream within %d seconds: state \"%s\"", STUCK_S, look.state);
			return PGHA_VERDICT_FAILED;
		}
		pgha_job_sleep(run, LOOK_EVERY_MS);
	}
}

bool
pgha_streams_or_leads(PghaJobRun *run)
{
	Look		look;
	char		error[600];

	return look_at_server(run, &look, error, sizeof(error)) &&
		(strcmp(look.state, "primary") == 0 ||
		 (strcmp(look.state, "standby") == 0 && strcmp(look.receiver, "streaming") == 0));
}
