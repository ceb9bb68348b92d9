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
 * clone_copy.c; here is the exchange.
 */
#include "clone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../host/durable.h"
#include "../host/mark.h"
#include "../host/server_ctl.h"
#include "archive.h"
#include "clone_copy.h"
#include "leader.h"
#include "lost.h"
#include "own.h"
#include "preflight.h"
#include "server.h"
#include "settings.h"

/* ---- the swap ---- */

static bool
inode_of(const char *path, uint64_t *inode)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	*inode = (uint64_t) st.st_ino;
	return true;
}

/* Is the directory at `path` the whole clone? */
static bool
is_clone(const PghaJobRun *run, const char *path)
{
	uint64_t	inode;

	return inode_of(path, &inode) && inode == run->new_inode;
}

/*
 * Puts the whole clone in the place of the data directory.  Can be repeated
 * after a crash at any point: the inode of the clone tells where it is.
 */
static bool
swap_in(PghaJobRun *run)
{
	const char *data = run->conf->data;
	char	   *aside = run->spent_directory[0] != '\0' ? run->spent_directory : run->old_directory;

	if (is_clone(run, data))
		;						/* exchanged already */
	else if (!is_clone(run, run->new_directory))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "the clone \"%s\" has vanished", run->new_directory);
	else if (access(data, F_OK) == 0)
	{
		if (!pgha_job_prove_down(run))
			return false;
		if (renameat2(AT_FDCWD, run->new_directory, AT_FDCWD, data, RENAME_EXCHANGE) != 0 &&
			(rename(data, aside) != 0 || rename(run->new_directory, data) != 0))
			return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not exchange \"%s\" and \"%s\": %s",
								 run->new_directory, data, strerror(errno));
	}
	else if (rename(run->new_directory, data) != 0)
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not rename \"%s\" to \"%s\": %s",
							 run->new_directory, data, strerror(errno));

	/* What is under the clone's name now is what it replaces. */
	if (access(run->new_directory, F_OK) == 0 && rename(run->new_directory, aside) != 0)
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not rename \"%s\" to \"%s\": %s",
							 run->new_directory, aside, strerror(errno));
	if (!pgha_sync_parent(data))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not sync the parent of \"%s\": %s", data, strerror(errno));
	run->new_directory[0] = '\0';
	run->new_inode = 0;
	if (access(aside, F_OK) != 0)
		aside[0] = '\0';
	run->data_ok = true;
	run->cloned = true;
	if (!pgha_job_record(run))
		return false;
	pgha_clone_forget(run);
	return true;
}

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

/* Stops the old server if it runs; one that cannot be stopped cleanly is going away anyhow. */
static bool
stop_old(PghaJobRun *run)
{
	char		error[600];

	if (pgha_server_proven_down(run->conf, error, sizeof(error)))
		return true;
	run->stopped = true;
	if (!pgha_job_phase(run, "stopping", "stops the old server"))
		return false;
	return pgha_server_stop(run->conf, "fast", 60000, pgha_job_cancelled, run, error, sizeof(error)) ||
		pgha_server_stop(run->conf, "immediate", 60000, pgha_job_cancelled, run, error, sizeof(error)) ||
		pgha_job_fail(run, STATE_NOT_IN_STATE, error, "Stop it by hand, and try again.",
					  "the old server could not be stopped");
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
 * Deletes a former data directory, if there is one.  While that cannot be
 * written down it is not done, nor forgotten: false, after pgha_job_fail().
 */
static bool
delete_directory(PghaJobRun *run, char *directory)
{
	if (directory[0] == '\0')
		return true;
	if (!pgha_job_phase(run, "cleaning up", "deletes \"%s\"", directory))
		return false;
	if (!pgha_clone_remove_data(directory, true, run->conf->data))
		fprintf(stderr, "pgha agent: could not delete \"%s\": %s\n", directory, strerror(errno));
	directory[0] = '\0';
	return true;
}

/* Leaves the former data directory, if there is one, to the administrator. */
static void
say_kept(PghaJobRun *run)
{
	if (run->old_directory[0] == '\0')
		return;
	fprintf(stderr, "pgha agent: the former data directory is kept as \"%s\"\n", run->old_directory);
	run->old_directory[0] = '\0';
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
		say_kept(run);
		run->keep_old = run->own == PGHA_OWN_UNKNOWN;
	}
	(void) snprintf(aside, PATH_MAX, "%.*s.old-%s", PATH_MAX - 64, run->conf->data, run->stamp);
}

static bool
clone_beside(PghaJobRun *run, const PghaClonePlan *plan)
{
	if (!pgha_settings_save(run) || !pgha_clone_note(run, plan))
		return false;
	(void) snprintf(run->new_directory, sizeof(run->new_directory), "%s", plan->target);
	if (!pgha_clone_copy(run, plan) || !pgha_clone_finish_copy(run, plan) || !pgha_job_check_cancel(run) ||
		!leader_leads(run) || !stop_old(run) || !save_lost(run))
	{
		pgha_clone_give_up(run);
		return false;
	}

	run->irrevocable = true;
	(void) inode_of(plan->target, &run->new_inode);
	name_aside(run);
	if (pgha_job_phase(run, "swapping", "puts the clone in the place of \"%s\"", run->conf->data) &&
		swap_in(run))
		return true;
	run->irrevocable = false;
	if (run->new_directory[0] != '\0' && !is_clone(run, run->conf->data) && access(run->conf->data, F_OK) == 0)
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
	PghaOwnAnswer answer;

	if (is_foreign(run, plan))
		return pgha_job_fail(run, STATE_NOT_IN_STATE, "The system identifiers differ.",
							 "Correct data_directory, or move away what is there.",
							 "\"%s\" is the data directory of another cluster, and is not given up for a clone in place",
							 run->conf->data);

	/* Asked first of the server as it runs, so that it is not stopped in vain. */
	if (!ask_own(run, &answer))
		return false;
	if (run->own == PGHA_OWN_UNKNOWN)
		return pgha_own_refuse(run, &answer, in_place_hint);
	if (!stop_old(run) || !save_lost_in_place(run) || !pgha_settings_save(run) || !pgha_clone_note(run, plan) ||
		!pgha_job_check_cancel(run))
		return false;
	if (!pgha_job_prove_down(run))
		return false;
	if (!pgha_make_directory(run->conf->data) || !pgha_mark_set(run->conf->data, error, sizeof(error)))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not mark \"%s\": %s", run->conf->data, strerror(errno));
	run->irrevocable = true;
	if (!pgha_job_phase(run, "swapping", "empties \"%s\"", run->conf->data))
		return whole ? unmark(run) : false;
	run->data_ok = false;
	if (!pgha_job_record(run))
		return whole ? unmark(run) : false;
	if (!pgha_job_prove_down(run))
		return false;
	if (!pgha_clone_remove_data(run->conf->data, false, NULL))
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

bool
pgha_clone_tidy(PghaJobRun *run)
{
	/*
	 * A whole clone that was not exchanged before the job died: what it was to
	 * replace may have gone on since.  So it is given up, once somebody leads, and
	 * everything is decided anew; only where there is nothing else left is it put
	 * into place.
	 */
	if (run->new_directory[0] != '\0' && run->new_inode != 0 && run->data_ok &&
		is_clone(run, run->new_directory) && pgha_exists_in(run->conf->data, "global/pg_control"))
	{
		if (run->leader == PGHA_NOBODY || run->leader == run->conf->self)
			return true;
		if (!leader_leads(run))
			return false;
		pgha_clone_give_up(run);
		return pgha_job_record(run);
	}
	if (run->new_directory[0] != '\0' && run->new_inode != 0 &&
		(is_clone(run, run->new_directory) || is_clone(run, run->conf->data)))
		return stop_old(run) && swap_in(run);
	if (run->new_directory[0] != '\0')
	{
		pgha_clone_give_up(run);
		return pgha_job_record(run);
	}
	/* Of a clone in place. */
	if (run->data_ok)
		pgha_clone_forget(run);
	else
		(void) pgha_clone_remove_noted(run);
	return true;
}

void
pgha_clone_finish(PghaJobRun *run)
{
	(void) delete_directory(run, run->spent_directory);
	if (run->conf->keep_old_data || run->keep_old)
		say_kept(run);
	else
		(void) delete_directory(run, run->old_directory);
	run->keep_old = false;
	(void) pgha_job_record(run);
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
	bool		planned;

	/* The process of this job before this one came that far. */
	if (run->cloned)
		return start_clone(run);
	leader = pgha_job_leader(run);
	if (leader == NULL)
		return false;
	planned = delete_directory(run, run->spent_directory) && pgha_clone_make_plan(run, &plan, leader) &&
		pgha_preflight(run, &plan, leader);
	PQfinish(leader);
	return planned && (plan.in_place ? clone_in_place(run, &plan) : clone_beside(run, &plan)) &&
		start_clone(run);
}
