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
 *
 * For rejoin.c.  Where the copy goes is clone_place.c, how it is made and removed
 * clone_copy.c, the exchange swap.c.
 */
#include "clone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../host/durable.h"
#include "../host/mark.h"
#include "../host/server_ctl.h"
#include "archive.h"
#include "clone_copy.h"
#include "found.h"
#include "leader.h"
#include "lost.h"
#include "objects.h"
#include "own.h"
#include "preflight.h"
#include "server.h"
#include "settings.h"
#include "spared.h"
#include "swap.h"
#include "top.h"
#include "votes.h"

/* Is there anything of a data directory that nobody has given up yet? */
static bool
is_there(const PghaJobRun *run)
{
	const char *data = run->conf->data;

	return run->data_ok &&
		!(pgha_missing_in(data, "global") && pgha_missing_in(data, "base") && pgha_missing_in(data, "pg_wal"));
}

/* Does what is to be replaced belong to another cluster than the primary does? */
static PghaFact
is_foreign(const PghaJobRun *run, const PghaClonePlan *plan)
{
	PghaControl control;
	char		error[600];

	if (!is_there(run))
		return PGHA_NO;
	if (plan->system_identifier == 0 || !pgha_server_control(run->conf, &control, error, sizeof(error)))
		return PGHA_NOT_KNOWN;
	return control.system_identifier != plan->system_identifier ? PGHA_YES : PGHA_NO;
}

/* What of the old copy does the leader not have?  False only if there is no leader. */
static bool
ask_own(PghaJobRun *run, PghaOwnAnswer *answer)
{
	PGconn	   *leader = pgha_job_leader(run);

	if (leader == NULL)
		return false;
	run->own = pgha_own_ask(run, leader, answer);
	PQfinish(leader);
	return true;
}

/*
 * Keeps what the old copy has beyond the leader's history.  Where that cannot
 * be told, or it is another cluster's, the old copy itself is kept; only a
 * person may have one replaced that is further than the leader.
 */
static bool
save_lost(PghaJobRun *run)
{
	PghaOwnAnswer answer;

	if (!ask_own(run, &answer))
		return false;
	if (run->own != PGHA_OWN_UNKNOWN && answer.fork.own != NULL &&
		!pgha_archive_keep(run, &answer.control, &answer.fork))
		return false;
	if (run->own == PGHA_OWN_PROVEN)
		return pgha_lost_save(run, &answer.control, &answer.fork);
	if (answer.above && !run->order.ordered)
		return pgha_own_refuse(run, &answer, NULL);
	if (run->own == PGHA_OWN_UNKNOWN)
		pgha_job_event(run, "lost", "node \"%s\" keeps its former data directory as \"%s.old-%s\": %s",
					   run->conf->members.member[run->conf->self].name, run->conf->data, run->stamp, answer.reason);
	return true;
}

static const char in_place_hint[] = "It is not given up for a clone in place while it is not known what it alone has."
	" Move the data directory away by hand, and try again.";

/* The same where the old copy cannot be kept: what is not known must not be given up. */
static bool
save_lost_in_place(PghaJobRun *run)
{
	PghaOwnAnswer answer;

	if (!ask_own(run, &answer))
		return false;
	if (run->own == PGHA_OWN_UNKNOWN)
		return pgha_own_refuse(run, &answer, in_place_hint);
	if (answer.fork.own != NULL && !pgha_archive_keep(run, &answer.control, &answer.fork))
		return false;
	return run->own == PGHA_OWN_NOTHING || pgha_lost_save(run, &answer.control, &answer.fork);
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
		run->keep_old = run->own == PGHA_OWN_UNKNOWN || pgha_top_to_keep()[0] != '\0';
		run->given_up = !run->data_ok;
		run->saved = run->own == PGHA_OWN_PROVEN || run->given_up;
		pgha_found_directory(run, run->conf->data, &run->replaced);
		if (pgha_top_to_keep()[0] != '\0')
			pgha_job_event(run, "lost", "node \"%s\" keeps its former data directory as \"%s.old-%s\": %s",
						   run->conf->members.member[run->conf->self].name, run->conf->data, run->stamp, pgha_top_to_keep());
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

/* The copy may be the only one of what it has, from now on.  What it will replace is not known yet. */
static bool
record_whole(PghaJobRun *run, const PghaClonePlan *plan)
{
	pgha_found_directory(run, plan->target, &run->new_id);
	run->new_id.term = run->source_term;
	run->new_whole = true;
	if (run->old_directory[0] == '\0')
		memset(&run->replaced, 0, sizeof(run->replaced));
	return pgha_job_record(run);
}

/* What is further than the leader is only replaced by a person's order: known before there is a copy. */
static bool
may_be_replaced(PghaJobRun *run)
{
	PghaOwnAnswer answer;

	return run->order.ordered || !is_there(run) ||
		(ask_own(run, &answer) && (!answer.above || pgha_own_refuse(run, &answer, NULL)));
}

static bool
clone_beside(PghaJobRun *run, const PghaClonePlan *plan)
{
	PghaDirectory there;
	pid_t		pid;
	bool		ran = pgha_server_look(run->conf, &pid) == PGHA_SERVER_RUNNING;

	if (!may_be_replaced(run) || !pgha_settings_save(run) || !pgha_clone_note(run, plan))
		return false;
	(void) snprintf(run->new_directory, sizeof(run->new_directory), "%s", plan->target);
	/* A copy may have taken hours, and the old server may be the primary by now: it must not be stopped. */
	if (!make_target(run, plan) || !pgha_clone_copy(run, plan) || !pgha_clone_finish_copy(run, plan) ||
		!record_whole(run, plan) ||
		!pgha_job_check_cancel(run) || !pgha_swap_check_held(run, ran) || !pgha_swap_check_term(run, false) ||
		!pgha_swap_stop_old(run) || !save_lost(run))
	{
		pgha_swap_drop_copy(run);
		return false;
	}

	run->irrevocable = true;
	name_aside(run);
	if (pgha_job_phase(run, "swapping", "puts the clone in the place of \"%s\"", run->conf->data) &&
		pgha_swap_in(run))
		return true;
	run->irrevocable = false;

	/* Once they are exchanged, that is the name of the former data directory. */
	pgha_found_directory(run, run->new_directory, &there);
	if (pgha_found_same(&there, &run->new_id) && access(run->conf->data, F_OK) == 0)
	{
		pgha_swap_drop_copy(run);
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
		pgha_agent_error("%s", error);
	return false;
}

/* Another cluster's data directory is not emptied, nor one of which that is not known. */
static bool
check_cluster(PghaJobRun *run, const PghaClonePlan *plan)
{
	switch (is_foreign(run, plan))
	{
		case PGHA_NO:
			return true;
		case PGHA_YES:
			return pgha_job_fail(run, STATE_NOT_IN_STATE, "The system identifiers differ.",
								 "Correct data_directory, or move away what is there.",
								 "\"%s\" is the data directory of another cluster, and is not given up for a clone in place",
								 run->conf->data);
		case PGHA_NOT_KNOWN:
			break;
	}
	return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Move the data directory away by hand, and try again.",
						 "it is not known whether \"%s\" belongs to the cluster of the primary; it is not given up for a clone in place",
						 run->conf->data);
}

/* Marks the data directory, and records that it is going to be emptied. */
static bool
give_up_data(PghaJobRun *run)
{
	bool		whole = run->data_ok && access(run->conf->data, F_OK) == 0;
	bool		must_know = is_there(run);
	char		error[PATH_MAX + 256];

	if (!pgha_job_prove_down(run))
		return false;
	if (!pgha_make_directory(run->conf->data))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not create directory \"%s\": %s",
							 run->conf->data, strerror(errno));
	if (!pgha_mark_set(run->conf->data, error, sizeof(error)))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "%s", error);
	run->irrevocable = true;
	if (!pgha_votes_save(run) || !pgha_job_phase(run, "swapping", "empties \"%s\"", run->conf->data))
		return whole ? unmark(run) : false;
	run->data_ok = false;
	if (!pgha_job_record(run))
		return whole ? unmark(run) : false;

	/* The facts that it rests on are looked at once more. */
	if (pgha_swap_check_term(run, must_know) && pgha_job_prove_down(run))
		return true;
	run->irrevocable = false;
	run->data_ok = whole;
	return pgha_job_record(run) && whole ? unmark(run) : false;
}

static bool
clone_in_place(PghaJobRun *run, const PghaClonePlan *plan)
{
	char		error[512];
	PghaOwnAnswer answer;

	/* Asked first of the server as it runs, so that it is not stopped in vain. */
	if (!check_cluster(run, plan) || !pgha_swap_check_term(run, is_there(run)) || !ask_own(run, &answer))
		return false;
	if (run->own == PGHA_OWN_UNKNOWN)
		return pgha_own_refuse(run, &answer, in_place_hint);
	if (!pgha_await_spared(run) || !pgha_swap_check_held(run, false) || !pgha_swap_stop_old(run) || !save_lost_in_place(run) || !pgha_settings_save(run) || !pgha_clone_note(run, plan) ||
		!pgha_job_check_cancel(run) || !give_up_data(run))
		return false;
	if (!pgha_clone_remove_data(run, run->conf->data, false, NULL))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not empty \"%s\": %s", run->conf->data, strerror(errno));
	if (!pgha_clone_copy(run, plan) || !pgha_clone_finish_copy(run, plan))
	{
		(void) pgha_clone_remove_noted(run, NULL);
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
	pgha_archive_hand_on(run);
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
	planned = pgha_clone_delete_spent(run) && pgha_swap_check_term(run, false) &&
		pgha_clone_make_plan(run, &plan, leader) &&
		pgha_top_look(run, leader, plan.in_place ? PGHA_TOP_IN_PLACE : PGHA_TOP_BESIDE) && pgha_preflight(run, &plan, leader);
	PQfinish(leader);
	return planned && (plan.in_place ? clone_in_place(run, &plan) : clone_beside(run, &plan)) &&
		start_clone(run);
}
