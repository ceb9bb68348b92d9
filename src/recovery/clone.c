/*
 * clone.c
 *		Building this node anew from the leader: pg_basebackup, or pgha.clone_command.
 *
 * The copy is made beside the old data directory, as <PGDATA>.new-<time>, while
 * the old server may go on serving reads.  When it is whole, the two are
 * exchanged, and the old one is called <PGDATA>.old-<time> until the new one
 * streams.  If it never does and another clone is made, the old one stays, and
 * the clone goes.  Storage outside of the data directory (a separate pg_wal,
 * tablespaces) goes to new directories pgha-<time> inside the old places: the
 * links to them are part of the data directory, so that one rename swaps it all.
 *
 * Where there is no place for that, the data directory can be emptied and
 * filled again, if pgha.clone_in_place allows it; it is marked (mark.h)
 * meanwhile.
 */
#include "clone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../host/durable.h"
#include "../host/mark.h"
#include "../host/server_ctl.h"
#include "clone_copy.h"
#include "found.h"
#include "history.h"
#include "leader.h"
#include "lost.h"
#include "objects.h"
#include "server.h"
#include "settings.h"
#include "swap.h"

/*
 * Does the leader still lead?  A copy may have taken hours, from elsewhere than
 * the leader, and the old server may be the primary by now: it must not be stopped.
 */
static bool
leader_leads(PghaJobRun *run)
{
	PGconn	   *leader = pgha_job_leader(run);

	if (leader == NULL)
		return false;
	PQfinish(leader);
	return true;
}

/* Does what is to be replaced belong to another cluster than the primary does? */
static bool
is_foreign(const PghaJobRun *run, const PghaClonePlan *plan)
{
	PghaControl control;
	char		error[600];

	return run->data_ok && plan->system_identifier != 0 &&
		pgha_server_control(run->conf, &control, error, sizeof(error)) &&
		control.system_identifier != plan->system_identifier;
}

/*
 * Keeps what the old copy has beyond the leader's history.  Where that cannot
 * be told, or it is another cluster's, the old copy itself is kept.
 */
static bool
save_lost(PghaJobRun *run, const PghaClonePlan *plan)
{
	PghaControl control;
	PghaFork	fork;
	char		error[600];
	PGconn	   *leader;
	bool		known;

	/* What is not whole was given up before, and saved then. */
	run->own = run->data_ok && pgha_exists_in(run->conf->data, "global") ? PGHA_OWN_SAVED : PGHA_OWN_NOTHING;
	if (run->own == PGHA_OWN_NOTHING)
		return true;
	if (!pgha_server_control(run->conf, &control, error, sizeof(error)) || is_foreign(run, plan))
	{
		run->own = PGHA_OWN_UNKNOWN;
		return true;
	}
	leader = pgha_job_leader(run);
	if (leader == NULL)
		return false;
	known = control.system_identifier != 0 && pgha_fork_find(run, leader, &control, &fork);
	PQfinish(leader);
	if (!known || fork.same_timeline)
	{
		run->own = known ? PGHA_OWN_NOTHING : PGHA_OWN_UNKNOWN;
		pgha_job_forget_failure(run);
		return true;
	}
	if (fork.own_timeline != fork.timeline || run->wal_end == 0 || run->wal_end > fork.lsn)
		return pgha_lost_save(run, &control, &fork);
	run->own = PGHA_OWN_NOTHING;
	return true;
}

/*
 * Where the data directory goes that a clone replaces.  If that is a clone that
 * never streamed, the copy before it is the one to be kept.
 */
static void
name_aside(PghaJobRun *run)
{
	bool		spent = run->old_directory[0] != '\0' && run->own == PGHA_OWN_NOTHING;
	char	   *aside = spent ? run->spent_directory : run->old_directory;

	if (!spent)
	{
		pgha_clone_say_kept(run);
		run->keep_old = run->own == PGHA_OWN_UNKNOWN;
		/* What is not whole was given up before, and saved then. */
		run->saved = run->own == PGHA_OWN_SAVED || !run->data_ok;
		pgha_found_directory(run, run->conf->data, &run->replaced);
	}
	(void) snprintf(aside, PATH_MAX, "%.*s.old-%s", PATH_MAX - 64, run->conf->data, run->stamp);
}

/* The directory of the copy, listed before there is anything in it. */
static bool
make_target(PghaJobRun *run, const PghaClonePlan *plan)
{
	if (!pgha_objects_make(run->conf, plan->target))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not create directory \"%s\": %s",
							 plan->target, strerror(errno));
	pgha_found_directory(run, plan->target, &run->new_id);
	return true;
}

static bool
clone_beside(PghaJobRun *run, const PghaClonePlan *plan)
{
	if (!pgha_settings_save(run) || !pgha_clone_note(run, plan))
		return false;
	(void) snprintf(run->new_directory, sizeof(run->new_directory), "%s", plan->target);
	if (!make_target(run, plan) || !pgha_clone_copy(run, plan) || !pgha_clone_finish_copy(run, plan) || !pgha_job_check_cancel(run) ||
		!leader_leads(run) || !pgha_swap_check_term(run) || !pgha_swap_stop_old(run) || !save_lost(run, plan))
	{
		pgha_clone_give_up(run);
		return false;
	}

	run->irrevocable = true;
	pgha_found_directory(run, plan->target, &run->new_id);
	run->new_whole = true;
	name_aside(run);
	if (pgha_job_phase(run, "swapping", "puts the clone in the place of \"%s\"", run->conf->data) &&
		pgha_swap_in(run))
		return true;
	run->irrevocable = false;
	if (run->new_directory[0] != '\0' && access(run->new_directory, F_OK) == 0 && access(run->conf->data, F_OK) == 0)
	{
		pgha_clone_give_up(run);
		if (run->spent_directory[0] != '\0')
			run->spent_directory[0] = '\0';
		else
			run->old_directory[0] = '\0';
	}
	return false;
}

/* Nothing has been changed yet: takes the mark off again. */
static bool
unmark(PghaJobRun *run)
{
	char		error[512];

	run->irrevocable = false;
	run->data_ok = true;
	if (!pgha_mark_clear(run->conf->data, error, sizeof(error)))
		fprintf(stderr, "pgha agent: %s\n", error);
	return false;
}

static bool
clone_in_place(PghaJobRun *run, const PghaClonePlan *plan)
{
	char		error[512];
	bool		whole = run->data_ok && access(run->conf->data, F_OK) == 0;

	if (is_foreign(run, plan))
		return pgha_job_fail(run, STATE_NOT_IN_STATE, "The system identifiers differ.",
							 "Correct data_directory, or move away what is there.",
							 "\"%s\" is the data directory of another cluster, and is not given up for a clone in place",
							 run->conf->data);
	if (!pgha_swap_stop_old(run) || !save_lost(run, plan) || !pgha_settings_save(run) || !pgha_clone_note(run, plan) ||
		!pgha_job_check_cancel(run))
		return false;
	if (!pgha_make_directory(run->conf->data) || !pgha_mark_set(run->conf->data, error, sizeof(error)))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not mark \"%s\": %s", run->conf->data, strerror(errno));
	run->irrevocable = true;
	if (!pgha_job_phase(run, "swapping", "empties \"%s\"", run->conf->data))
		return whole ? unmark(run) : false;
	run->data_ok = false;
	if (!pgha_job_record(run))
		return whole ? unmark(run) : false;
	if (!pgha_clone_remove_data(run, run->conf->data, false, NULL))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not empty \"%s\": %s", run->conf->data, strerror(errno));
	if (!pgha_clone_copy(run, plan) || !pgha_clone_finish_copy(run, plan))
	{
		(void) pgha_clone_remove_noted(run);
		return false;
	}

	/* First remembered, then unmarked: a mark that a crash leaves behind has no meaning then. */
	run->data_ok = run->cloned = true;
	if (!pgha_job_record(run))
	{
		run->data_ok = run->cloned = false;
		return false;
	}
	pgha_clone_forget(run);
	return pgha_mark_clear(run->conf->data, error, sizeof(error)) ||
		pgha_job_fail(run, STATE_IO, NULL, NULL, "%s", error);
}

/* Starts what has been put into place. */
static bool
start_clone(PghaJobRun *run)
{
	/* The node is what it is to be: the job can be given up again. */
	run->irrevocable = false;
	if (!pgha_start(run))
		return false;
	switch (pgha_await_verdict(run))
	{
		case PGHA_VERDICT_STREAMS:
		case PGHA_VERDICT_PRIMARY:
			pgha_clone_finish(run);
			return true;
		case PGHA_VERDICT_DIVERGED:
			return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "See pgha_events() and the server's log.",
								 "the clone has diverged from the primary; the former data directory is kept");
		case PGHA_VERDICT_WAL_GONE:
		case PGHA_VERDICT_FAILED:
			break;
	}
	return false;
}

bool
pgha_clone(PghaJobRun *run)
{
	static PghaClonePlan plan;
	PGconn	   *leader;
	uint64_t	term;
	bool		planned;

	/* The process of this job before this one came that far. */
	if (run->cloned)
		return start_clone(run);
	leader = pgha_job_leader(run);
	if (leader == NULL)
		return false;
	term = pgha_found_leader_term(leader);
	(void) snprintf(run->source, sizeof(run->source), "%s", run->conf->members.member[run->leader].name);
	run->source_term = term;
	planned = pgha_clone_delete_spent(run) && pgha_swap_check_term(run) && pgha_clone_make_plan(run, &plan, leader);
	PQfinish(leader);
	return planned && (plan.in_place ? clone_in_place(run, &plan) : clone_beside(run, &plan)) &&
		start_clone(run);
}
