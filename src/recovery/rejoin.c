/*
 * rejoin.c
 *		Bringing this node back: start it, else rewind it, else clone it.
 *
 * Each step of the ladder is taken when the one before it has failed for a
 * reason that the next one cures, and as far as the order's method allows.
 * Nothing is rewound or cloned before the server itself has said that it has
 * diverged (server.c), cannot be started, or has missed WAL that is gone.
 */
#include "rejoin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../host/mark.h"
#include "../host/server_ctl.h"
#include "clone.h"
#include "clone_place.h"
#include "kept_wal.h"
#include "rewind.h"
#include "server.h"
#include "swap.h"

static bool
may_clone(const PghaJobRun *run)
{
	return run->order.method == PGHA_METHOD_AUTO || run->order.method == PGHA_METHOD_CLONE;
}

/* Does this failure to start speak of the data, not of the configuration? */
static bool
data_is_bad(const PghaJobRun *run)
{
	static const char *const signs[] = {
		"PANIC", "checkpoint record", "timeline", "data directory", "pg_control", "find the database system",
		"could not read file", "could not open file \"base", "could not open file \"global",
		"could not open file \"pg_", "incorrect checksum", "control file"
	};
	char		control[PATH_MAX + 32];

	/* Without pg_control it is none, whatever the server missed first. */
	(void) snprintf(control, sizeof(control), "%s/global/pg_control", run->conf->data);
	if (access(control, F_OK) != 0 && errno == ENOENT)
		return true;
	/* It runs, and has no WAL to go on with (server.c). */
	if (strcmp(run->sqlstate, STATE_UNDEFINED_FILE) == 0)
		return true;
	if (strstr(run->detail, "configuration") != NULL || strstr(run->detail, "parameter") != NULL ||
		strstr(run->detail, "invalid permissions") != NULL || strstr(run->detail, "wrong ownership") != NULL ||
		strstr(run->detail, "ermission denied") != NULL || strstr(run->detail, "No space left") != NULL)
		return false;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
	{
		if (strstr(run->detail, signs[i]) != NULL)
			return true;
	}
	return false;
}

/* A clone, told with what led to it. */
static bool
clone_because(PghaJobRun *run)
{
	if (!pgha_job_check_cancel(run))
		return false;
	if (run->message[0] != '\0')
		pgha_agent_warning("recovery: clones, because %s%s%s", run->message,
				run->detail[0] != '\0' ? ": " : "", run->detail);
	return pgha_clone(run);
}

static bool
clone_or_fail(PghaJobRun *run)
{
	return may_clone(run) && clone_because(run);
}

/* The node has diverged; the server runs. */
static bool
rewind_or_clone(PghaJobRun *run)
{
	if (run->order.method == PGHA_METHOD_START)
		return run->order.ordered ?
			pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Use the method rewind, clone or auto.",
						  "the node has started, but its WAL has diverged from the primary's") : true;
	switch (pgha_rewind(run))
	{
		case PGHA_REWIND_DONE:
			return true;
		case PGHA_REWIND_IMPOSSIBLE:
			return clone_or_fail(run);
		case PGHA_REWIND_FAILED:
			return false;
	}
	return false;
}

static bool
start_and_judge(PghaJobRun *run)
{
	if (!pgha_start(run))
		return !pgha_job_cancelled(run) && data_is_bad(run) && clone_or_fail(run);
	if (run->order.method == PGHA_METHOD_START && !run->order.ordered)
		return true;			/* the reconcile loop goes on from there */
	switch (pgha_await_verdict(run))
	{
		case PGHA_VERDICT_STREAMS:
			return true;
		case PGHA_VERDICT_PRIMARY:
			return !run->order.ordered ||
				pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, NULL, "the node has become the primary");
		case PGHA_VERDICT_DIVERGED:
			return rewind_or_clone(run);
		case PGHA_VERDICT_WAL_GONE:
			return clone_or_fail(run);
		case PGHA_VERDICT_FAILED:
			return false;
	}
	return false;
}

/* The job that made a clone may have been given up before that came to stream, as it did later. */
static void
finish_earlier_clone(PghaJobRun *run)
{
	if (run->old_directory[0] != '\0' && pgha_streams_or_leads(run))
		pgha_clone_finish(run);
}

/* This node leads: what a former job has left is decided on, and the server is not touched. */
static bool
finish_as_leader(PghaJobRun *run)
{
	pid_t		pid;

	if (pgha_server_look(run->conf, &pid) != PGHA_SERVER_RUNNING)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Start it, if you have stopped it; what a former recovery has left is decided on later.",
							 "this node's server, which led, does not run");
	run->data_ok = true;
	if (!pgha_clone_tidy(run))
		return false;
	pgha_clone_finish(run);
	return true;
}

static bool
rejoin(PghaJobRun *run)
{
	char		error[512];
	pid_t		pid;
	PghaServer	server;

	if (run->leader == run->conf->self)
		return finish_as_leader(run);
	if (!pgha_clone_tidy(run) || !pgha_clone_check_place(run))
		return false;
	server = pgha_server_look(run->conf, &pid);
	if (server == PGHA_SERVER_UNKNOWN && !pgha_job_prove_down(run))
		return false;
	if (server == PGHA_SERVER_RUNNING)
	{
		run->data_ok = true;
		finish_earlier_clone(run);
	}
	else if (server == PGHA_SERVER_MARKED && run->known && run->data_ok)
	{
		/* A rewind or clone was interrupted before it changed anything, or after it was whole. */
		if (!pgha_mark_clear(run->conf->data, error, sizeof(error)))
			return pgha_job_fail(run, STATE_IO, NULL, NULL, "%s", error);
		server = pgha_server_look(run->conf, &pid);
	}
	if (run->order.method == PGHA_METHOD_CLONE)
		return pgha_clone(run);
	if (server == PGHA_SERVER_ABSENT)
		return may_clone(run) ? pgha_clone(run) :
			pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Use the method clone.",
						  "there is no data directory \"%s\"", run->conf->data);
	if (server == PGHA_SERVER_MARKED || (!run->data_ok && server != PGHA_SERVER_RUNNING))
		return may_clone(run) ? pgha_clone(run) :
			pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Use the method clone, or set pgha.auto_rejoin = clone.",
						  "the data directory \"%s\" is not whole: an earlier rewind or clone was interrupted",
						  run->conf->data);
	if (!start_and_judge(run))
		return false;
	pgha_clone_finish(run);
	return true;
}

bool
pgha_rejoin(PghaJobRun *run)
{
	bool		done;

	pgha_kept_wal_forget(run->conf);	/* of a job that was killed */
	done = rejoin(run);

	/* A server that was running goes on: nobody has stopped it on purpose. */
	if (!done && run->stopped && run->data_ok)
		pgha_start_again(run);
	return done;
}
