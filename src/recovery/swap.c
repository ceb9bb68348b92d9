/*
 * swap.c
 *		The exchange of a clone and the data directory, and what is left of one.
 *
 * A job begins with pgha_clone_tidy(): what an earlier process has left of a
 * clone is looked at as it is now, and the table (table.c) says what becomes of
 * it.  It ends with pgha_clone_finish(), where the same holds for the former data
 * directory.  Nothing is finished because it was begun.
 */
#include "swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/log.h"
#include "../host/durable.h"
#include "../host/mark.h"
#include "../host/server_ctl.h"
#include "clone_copy.h"
#include "found.h"
#include "leader.h"
#include "objects.h"
#include "own.h"
#include "server.h"
#include "settings.h"
#include "table.h"
#include "votes.h"

static PGconn *
ask_by(PGconn *(*connect) (PghaJobRun *run), const PghaJobRun *run, PghaJobRun *asks, uint64_t *term)
{
	PGconn	   *leader;

	*asks = *run;
	leader = connect(asks);
	*term = leader != NULL ? pgha_found_leader_term(leader) : 0;
	return leader;
}

/*
 * A session with the leader, and its term; that there is none (NULL, 0) is no
 * failure of the job's, but of `asks`.
 */
static PGconn *
ask_leader(const PghaJobRun *run, PghaJobRun *asks, uint64_t *term)
{
	return ask_by(pgha_job_leader, run, asks, term);
}

/* The same for the former data directory: this node itself may lead by now. */
static PGconn *
ask_judge(const PghaJobRun *run, PghaJobRun *asks, uint64_t *term)
{
	return ask_by(pgha_job_judge, run, asks, term);
}

/* Taken again directly before each step that cannot be undone. */
static bool
server_is_down(const PghaJobRun *run)
{
	char		error[PGHA_WHY_SIZE + PATH_MAX];

	return pgha_server_proven_down(run->conf, error, sizeof(error));
}

/* The same with all three values. */
static PghaFact
is_down(const PghaJobRun *run)
{
	pid_t		pid;

	if (server_is_down(run))
		return PGHA_YES;
	return pgha_server_look(run->conf, &pid) == PGHA_SERVER_RUNNING ? PGHA_NO : PGHA_NOT_KNOWN;
}

/* ---- the exchange ---- */

static bool
is_at(const char *path, const PghaDirectory *directory)
{
	struct stat st;

	return stat(path, &st) == 0 && directory->inode != 0 &&
		(uint64_t) st.st_ino == directory->inode && (uint64_t) st.st_dev == directory->device;
}

bool
pgha_swap_stop_old(PghaJobRun *run)
{
	char		error[600];
	PghaDirectory now;

	if (server_is_down(run))
		return true;
	run->stopped = true;
	run->stop_written = 0;
	if (!pgha_job_phase(run, "stopping", "stops the old server"))
		return false;
	if (!pgha_server_stop(run->conf, "fast", 60000, pgha_job_cancelled, run, error, sizeof(error)) &&
		!pgha_server_stop(run->conf, "immediate", 60000, pgha_job_cancelled, run, error, sizeof(error)))
		return pgha_job_fail(run, STATE_NOT_IN_STATE, error, "Stop it by hand, and try again.",
							 "the old server could not be stopped");

	/* By this it is known later that nobody else has stopped it since. */
	pgha_found_directory(run, run->conf->data, &now);
	run->stop_written = now.written;
	return pgha_job_record(run);
}

bool
pgha_swap_check_term(PghaJobRun *run, bool must_know)
{
	PghaDirectory now;
	PGconn	   *leader = pgha_job_leader(run);
	uint64_t	term;
	PghaFact	above;
	char		detail[200];

	if (leader == NULL)
		return false;
	term = pgha_found_leader_term(leader);
	PQfinish(leader);
	pgha_found_directory(run, run->conf->data, &now);
	if (term == 0)
		return pgha_job_fail(run, STATE_CONNECTION, NULL, "It is tried again.", "could not ask the primary for its term");
	above = pgha_found_above(&now, term);

	/* Of which that is not known it is not known what it alone has either, and it is kept. */
	if (above == PGHA_NO || (above == PGHA_NOT_KNOWN && !must_know))
		return true;
	if (above == PGHA_NOT_KNOWN)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Move the data directory away by hand, and try again.",
							 "it is not known of which term the data directory \"%s\" is", run->conf->data);
	(void) snprintf(detail, sizeof(detail), "Its term is %llu, that of the primary \"%s\" is %llu.",
					(unsigned long long) now.term, run->conf->members.member[run->leader].name, (unsigned long long) term);
	return pgha_job_fail(run, STATE_NOT_IN_STATE, detail,
						 "Nothing newer than the primary's is replaced. If its data are not wanted, move the directory away, and order a clone.",
						 "the data directory \"%s\" is newer than what the primary has", run->conf->data);
}

bool
pgha_swap_check_held(PghaJobRun *run, bool ran)
{
	PGconn	   *leader = pgha_job_leader(run);
	PghaFact	paused = PGHA_NO;
	pid_t		pid;

	if (leader == NULL)
		return false;
	if (!run->order.ordered)
		paused = pgha_found_leader_paused(leader);
	PQfinish(leader);
	run->held = paused != PGHA_NO;
	if (run->held)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "End the pause, or call pgha_recover_node().", "%s",
							 paused == PGHA_YES ? "the recovery is not gone on with: failover is paused" :
							 "the recovery is not gone on with: it is not known whether failover is paused");
	run->held = !run->order.ordered && ran && pgha_server_look(run->conf, &pid) == PGHA_SERVER_STOPPED;
	return !run->held || pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Start the server, or call pgha_recover_node().",
						 "the recovery is not gone on with: the server was stopped on purpose");
}

/* It is not exchanged: what was whole may be started again. */
static void
unmark(const PghaJobRun *run)
{
	char		error[512];

	if (run->data_ok && access(run->conf->data, F_OK) == 0 && !pgha_mark_clear(run->conf->data, error, sizeof(error)))
		pgha_agent_error("%s", error);
}

/* Has somebody had the data directory at work since it was recorded? */
static bool
was_at_work(const PghaJobRun *run)
{
	PghaDirectory now;

	/* A clone that never streamed is not what the record tells of. */
	if (!run->data_ok || run->spent_directory[0] != '\0')
		return false;
	pgha_found_directory(run, run->conf->data, &now);
	return pgha_found_changed(&now, &run->replaced) == PGHA_YES;
}

/* The exchange itself; where there is none, by two renames. */
static bool
exchange(PghaJobRun *run, const char *aside)
{
	const char *data = run->conf->data;
	char		error[PGHA_WHY_SIZE + PATH_MAX];
	int			save_errno;

	if (access(data, F_OK) != 0)
	{
		/* Half of the exchange was done; or somebody has taken away what was there, with its votes. */
		if (access(aside, F_OK) != 0 && !pgha_votes_clear(run, run->new_directory))
			return false;
		return rename(run->new_directory, data) == 0 ||
			pgha_job_fail(run, STATE_IO, NULL, NULL, "could not rename \"%s\" to \"%s\": %s",
						  run->new_directory, data, strerror(errno));
	}

	/* Marked, nobody can start it in between, a supervisor neither. */
	if (!pgha_mark_set(data, error, sizeof(error)) || !pgha_server_proven_down(run->conf, error, sizeof(error)))
	{
		unmark(run);
		return pgha_job_fail(run, STATE_NOT_IN_STATE, error, "It is tried again.", "\"%s\" cannot be replaced now", data);
	}
	if (was_at_work(run))
	{
		unmark(run);
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "It is tried again.",
							 "the server of \"%s\" has run since it was to be replaced", data);
	}
	if (!pgha_votes_save(run) || !pgha_votes_put(run, run->new_directory))
	{
		unmark(run);
		return false;
	}
	pgha_job_test_stop("exchanging", 0);
	if (renameat2(AT_FDCWD, run->new_directory, AT_FDCWD, data, RENAME_EXCHANGE) == 0 ||
		(rename(data, aside) == 0 && rename(run->new_directory, data) == 0))
		return true;
	save_errno = errno;
	unmark(run);
	return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not exchange \"%s\" and \"%s\": %s",
						 run->new_directory, data, strerror(save_errno));
}

bool
pgha_swap_in(PghaJobRun *run)
{
	const char *data = run->conf->data;
	char	   *aside = run->spent_directory[0] != '\0' ? run->spent_directory : run->old_directory;

	if (!is_at(data, &run->new_id))
	{
		if (!is_at(run->new_directory, &run->new_id))
			return pgha_job_fail(run, STATE_IO, NULL, NULL, "the clone \"%s\" has vanished", run->new_directory);
		if (!exchange(run, aside))
			return false;
	}

	/* What is under the clone's name now is what it replaces. */
	if (access(run->new_directory, F_OK) == 0 && rename(run->new_directory, aside) != 0)
		return pgha_job_fail(run, STATE_IO, NULL, "The clone is in its place; move away what is in the way of the former data directory, and try again.",
							 "could not rename \"%s\" to \"%s\": %s", run->new_directory, aside, strerror(errno));
	if (!pgha_sync_parent(data))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not sync the parent of \"%s\": %s", data, strerror(errno));
	run->new_directory[0] = '\0';
	memset(&run->new_id, 0, sizeof(run->new_id));
	run->new_whole = false;
	if (access(aside, F_OK) != 0 && errno == ENOENT)
		aside[0] = '\0';
	run->data_ok = true;
	run->cloned = true;
	memcpy(run->placed_source, run->source, sizeof(run->placed_source));
	run->placed_term = run->source_term;
	if (!pgha_job_record(run))
		return false;
	pgha_clone_forget(run);
	return true;
}

/* ---- what an earlier process has left ---- */

static PghaCopy
look_at_copy(const PghaJobRun *run)
{
	char		path[PATH_MAX + 32];
	struct stat st;

	if (run->new_directory[0] == '\0')
		return PGHA_COPY_NONE;
	if (run->new_whole && is_at(run->conf->data, &run->new_id))
		return PGHA_COPY_PLACED;
	if (access(run->new_directory, F_OK) != 0 && errno == ENOENT)
		return PGHA_COPY_VANISHED;
	/* One that was not listed yet is empty. */
	if (run->new_id.inode != 0 && !is_at(run->new_directory, &run->new_id))
		return PGHA_COPY_FOREIGN;
	if (run->new_whole)
		return PGHA_COPY_WHOLE;
	/* A crash of the machine may leave it without what was in it. */
	(void) snprintf(path, sizeof(path), "%s/global/pg_control", run->new_directory);
	return stat(path, &st) == 0 ? (st.st_size != 0 ? PGHA_COPY_PERHAPS : PGHA_COPY_PARTIAL) :
		errno == ENOENT ? PGHA_COPY_PARTIAL : PGHA_COPY_PERHAPS;
}

/* Was the server that is down stopped by somebody else than a recovery? */
static bool
is_stopped_on_purpose(const PghaJobRun *run, const PghaDirectory *now)
{
	pid_t		pid;
	PghaServer	server = pgha_server_look(run->conf, &pid);

	/* Marked for an exchange it has been down before; how it went down pg_control tells. */
	if (server != PGHA_SERVER_STOPPED && !(server == PGHA_SERVER_MARKED && now->shut_down))
		return false;
	return !run->stopped || (run->stop_written != 0 && now->written != run->stop_written);
}

/*
 * Has the leader of now all that the copy has?  Where the copy itself does not
 * tell: it has, if it is the one that was copied, in the same term.
 */
static PghaFact
is_copy_contained(const PghaJobRun *run, PGconn *leader, uint64_t term)
{
	PghaFact	contained = term != 0 ? pgha_found_contained(run, leader, run->new_directory) : PGHA_NOT_KNOWN;

	if (contained == PGHA_NOT_KNOWN && term != 0 && term == run->source_term &&
		strcmp(run->conf->members.member[run->leader].name, run->source) == 0)
		contained = PGHA_YES;
	return contained;
}

/* What is there now, who leads, and what the operator has said. */
static void
look(PghaJobRun *run, PghaScene *scene)
{
	static PghaJobRun asks;
	PghaDirectory now;
	uint64_t	term;
	PGconn	   *leader = ask_leader(run, &asks, &term);

	pgha_found_directory(run, run->conf->data, &now);

	memset(scene, 0, sizeof(*scene));
	scene->copy = look_at_copy(run);

	/* Without its mark, what was not whole is what somebody has put there since. */
	scene->data_whole = pgha_exists_in(run->conf->data, "global") &&
		((run->known && run->data_ok) || pgha_mark_is_set(run->conf->data) != PGHA_MARK_SET);
	scene->changed = pgha_found_changed(&now, &run->replaced);
	scene->down = is_down(run);
	scene->contained = PGHA_NOT_KNOWN;
	if (scene->copy == PGHA_COPY_WHOLE || scene->copy == PGHA_COPY_PERHAPS)
		scene->contained = is_copy_contained(run, leader, term);
	scene->above = pgha_found_above(&now, term);

	/* With a leader, the agent has asked it. */
	scene->paused = leader == NULL && pgha_found_paused(run) != PGHA_NO;
	scene->stopped = is_stopped_on_purpose(run, &now);
	if (run->order_term == 0)
		run->order_term = term;
	/* Who has stopped it after the job's own stop has said so after the order. */
	scene->ordered = run->order.ordered &&
		(!run->again || (term != 0 && term == run->order_term && !(scene->stopped && run->stopped)));
	run->order.ordered = scene->ordered;
	if (leader != NULL)
		PQfinish(leader);
}

/* Where a data directory was to go that has not been exchanged after all. */
static void
forget_missing(PghaJobRun *run)
{
	if (run->new_directory[0] == '\0' && run->old_directory[0] != '\0' &&
		access(run->old_directory, F_OK) != 0 && errno == ENOENT)
		run->old_directory[0] = '\0';
}

/* The copy is no concern any more, wherever it is. */
static bool
forget_copy(PghaJobRun *run)
{
	run->new_directory[0] = '\0';
	memset(&run->new_id, 0, sizeof(run->new_id));
	run->new_whole = false;
	pgha_clone_forget(run);
	return pgha_job_record(run);
}

void
pgha_swap_drop_copy(PghaJobRun *run)
{
	static PghaJobRun asks;
	PGconn	   *leader;
	uint64_t	term;
	PghaFact	contained = PGHA_YES;

	if (run->new_whole)
	{
		leader = ask_leader(run, &asks, &term);
		contained = is_copy_contained(run, leader, term);
		if (leader != NULL)
			PQfinish(leader);
	}
	if (contained == PGHA_YES)
		pgha_clone_give_up(run);
	else
		pgha_agent_log("the clone \"%s\" is whole, and stays until there is a primary that has all of it", run->new_directory);
}

/* The job ends here, and the copy stays recorded.  The server that there is may go on meanwhile. */
static bool
await(PghaJobRun *run, const PghaScene *scene, const char *what, const char *hint)
{
	if (scene->data_whole && scene->down == PGHA_YES && pgha_table_may_start(scene))
		(void) pgha_start(run);
	return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, hint, "the clone \"%s\"%s", run->new_directory, what);
}

/* Named for an exchange that has not been: the next one must not take it for a former data directory. */
static void
forget_unused(char *aside)
{
	if (access(aside, F_OK) != 0 && errno == ENOENT)
		aside[0] = '\0';
}

bool
pgha_clone_tidy(PghaJobRun *run)
{
	PghaScene	scene;
	PghaStep	step;
	bool		done = true;

	look(run, &scene);
	step = pgha_table_step(&scene);
	/* Where this node leads, there is no primary to be waited for, and nothing takes the place of its data. */
	if (run->leader == run->conf->self && (step == PGHA_STEP_SWAP || step >= PGHA_STEP_AWAIT_SERVER))
		step = PGHA_STEP_LEAVE_COPY;
	/* That it waits is told as the reason of the failure, and once. */
	if (step != PGHA_STEP_GO_ON && step < PGHA_STEP_AWAIT_SERVER)
		pgha_agent_warning("recovery: an interrupted clone \"%s\": %s", run->new_directory, pgha_table_word(step));

	if (step != PGHA_STEP_SWAP && step != PGHA_STEP_NAME && step < PGHA_STEP_AWAIT_SERVER)
	{
		forget_unused(run->old_directory);
		forget_unused(run->spent_directory);
	}

	/* It was marked for an exchange that has not been. */
	if (run->known && scene.data_whole && step != PGHA_STEP_SWAP)
		unmark(run);
	/* A pause ends, and then it is started again; who has stopped it starts it himself. */
	run->held = !pgha_table_may_start(&scene);
	if (run->held && scene.stopped)
		run->stopped = false;
	switch (step)
	{
		case PGHA_STEP_GO_ON:
			/* Of a clone in place; what is whole, or was put there since, may use them. */
			(void) pgha_clone_remove_noted(run, !run->data_ok && pgha_mark_is_set(run->conf->data) == PGHA_MARK_SET ?
										   NULL : run->conf->data);
			break;
		case PGHA_STEP_SWAP:
			/* What somebody has changed in the node's own files since. */
			done = pgha_swap_stop_old(run) && pgha_settings_save(run) &&
				pgha_make_standby(run, run->new_directory) && pgha_swap_in(run);
			break;
		case PGHA_STEP_NAME:
			done = pgha_swap_in(run);
			break;
		case PGHA_STEP_DELETE_COPY:
			pgha_clone_give_up(run);
			done = pgha_job_record(run);
			break;
		case PGHA_STEP_LEAVE_COPY:
			pgha_agent_warning(run->leader == run->conf->self ?
							   "\"%s\" was to take the place of the data directory of this node, which leads by now, and may have what that does not have:"
							   " it is left there; delete it when it is not needed" :
							   "\"%s\" has what the primary does not have, or was not made by this agent:"
							   " it is left there; delete it when it is not needed", run->new_directory);
			done = forget_copy(run);
			break;
		case PGHA_STEP_FORGET_COPY:
			/* Who has moved it away may use what it has outside. */
			pgha_agent_warning("\"%s\" is not there any more; copies of tablespaces that belonged to it are left as they are",
						   run->new_directory);
			done = forget_copy(run);
			break;
		case PGHA_STEP_AWAIT_SERVER:
			return await(run, &scene, " waits: it is not known that the server does not run",
						 "Stop the server, or see what the agent's log says of it.");
		case PGHA_STEP_AWAIT_LEADER:
			return await(run, &scene, " waits for a primary that it can be compared with",
						 "It is decided on when there is one; or move it away.");
		case PGHA_STEP_AWAIT_OPERATOR:
			return await(run, &scene, " waits: failover is paused, or the server was stopped on purpose",
						 "Start the server, end the pause, or call pgha_recover_node().");
	}
	forget_missing(run);
	if (!done || !run->held || !run->again || !server_is_down(run))
		return done;
	return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Start the server, end the pause, or call pgha_recover_node().",
						 "the recovery is not gone on with: failover is paused, or the server was stopped on purpose");
}

/* ---- the former data directory ---- */

/*
 * Deletes a former data directory, pg_control first: one that has it no more, and
 * of which the record says that it was being deleted, is not whole, and there is
 * nothing left to decide.  One that has it is decided on anew.  While that cannot
 * be written down it is not done, nor forgotten: false, after pgha_job_fail().
 */
static bool
delete_directory(PghaJobRun *run, char *directory)
{
	char		control[PATH_MAX + 32];

	run->deleting = true;
	if (!pgha_job_phase(run, "cleaning up", "deletes \"%s\"", directory))
		return false;
	(void) snprintf(control, sizeof(control), "%s/global/pg_control", directory);
	if ((unlink(control) == 0 ? !pgha_sync_parent(control) : errno != ENOENT) ||
		!pgha_clone_remove_data(run, directory, true, run->conf->data))
		pgha_agent_warning("could not delete \"%s\": %s", directory, strerror(errno));
	directory[0] = '\0';
	run->deleting = false;
	return true;
}

bool
pgha_clone_delete_spent(PghaJobRun *run)
{
	static PghaJobRun asks;
	PGconn	   *leader;
	uint64_t	term;
	bool		listed;
	PghaFact	contained = PGHA_YES;

	if (run->spent_directory[0] == '\0')
		return true;
	listed = pgha_objects_has(run->conf, run->spent_directory);
	if (listed && pgha_exists_in(run->spent_directory, "global/pg_control"))
	{
		leader = ask_leader(run, &asks, &term);
		contained = pgha_found_contained(run, leader, run->spent_directory);
		if (leader != NULL)
			PQfinish(leader);
	}
	if (listed && contained == PGHA_YES)
		return delete_directory(run, run->spent_directory);
	if (listed)
		pgha_agent_warning("\"%s\" has what the primary is not known to have: it is left there; delete it when it is not needed",
					   run->spent_directory);
	else
		pgha_agent_warning("\"%s\" was not made by this agent, and is left as it is", run->spent_directory);
	run->spent_directory[0] = '\0';
	return true;
}

void
pgha_clone_say_kept(PghaJobRun *run)
{
	char		error[512];

	if (run->old_directory[0] == '\0')
		return;
	/* It was marked for the exchange; it is whole. */
	if (run->replaced.written != 0 && is_at(run->old_directory, &run->replaced) &&
		!pgha_mark_clear(run->old_directory, error, sizeof(error)))
		pgha_agent_error("%s", error);
	pgha_agent_warning("the former data directory is kept as \"%s\"", run->old_directory);
	run->old_directory[0] = '\0';
}

/*
 * Has the leader all that the former data directory has?  Asked as before it was
 * replaced (own.c).  What the leader has answered, and cannot prove, is no.
 */
static PghaFact
former_contained(const PghaJobRun *run, PGconn *leader)
{
	static PghaAgentConf there;
	static PghaJobRun asks;		/* its failure is none of the job's */
	static PghaOwnAnswer answer;

	if (leader == NULL)
		return PGHA_NOT_KNOWN;
	there = *run->conf;
	(void) snprintf(there.data, sizeof(there.data), "%s", run->old_directory);
	asks = *run;
	asks.conf = &there;
	asks.data_ok = true;
	asks.wal_end = 0;
	asks.old_directory[0] = '\0';
	switch (pgha_own_ask(&asks, leader, &answer))
	{
		case PGHA_OWN_NOTHING:
			return PGHA_YES;
		case PGHA_OWN_PROVEN:
			return PGHA_NO;
		case PGHA_OWN_UNKNOWN:
			break;
	}
	return strcmp(answer.sqlstate, STATE_CONNECTION) == 0 ? PGHA_NOT_KNOWN : PGHA_NO;
}

/* What becomes of the former data directory, asked of the leader of now. */
static PghaFate
fate_of_former(PghaJobRun *run)
{
	static PghaJobRun asks;
	PghaFormer	former = {.keep = run->conf->keep_old_data || run->keep_old};
	PghaDirectory now;
	uint64_t	term;
	PGconn	   *leader = ask_judge(run, &asks, &term);

	pgha_found_directory(run, run->old_directory, &now);
	former.listed = pgha_found_same(&now, &run->replaced) || pgha_objects_has(run->conf, run->old_directory);
	if (now.written == 0 && (run->replaced.written == 0 ? term != 0 :
							 run->deleting && pgha_missing_in(run->old_directory, "global/pg_control")))
	{
		/* It had no pg_control: what was not whole had been given up before.  Or it was being deleted. */
		former.keep &= !run->deleting;
		former.changed = former.above = PGHA_NO;
		former.contained = PGHA_YES;
	}
	else
	{
		former.changed = pgha_found_changed(&now, &run->replaced);
		/* A rewind that was interrupted leaves files empty, pgha.state among them. */
		former.above = run->given_up ? PGHA_NO : pgha_found_above(&now, term);
		/* Whose term cannot be read will not be known later. */
		former.keep |= now.unreadable && !run->given_up;
		former.saved = run->saved && term != 0 && term == run->source_term &&
			strcmp(run->conf->members.member[asks.leader].name, run->source) == 0;
		former.contained = former.saved ? PGHA_YES : former_contained(&asks, leader);
	}
	if (leader != NULL)
		PQfinish(leader);
	return pgha_table_former(&former);
}

void
pgha_clone_finish(PghaJobRun *run)
{
	(void) pgha_clone_delete_spent(run);
	if (run->old_directory[0] != '\0')
	{
		switch (fate_of_former(run))
		{
			case PGHA_FATE_DELETE:
				(void) delete_directory(run, run->old_directory);
				break;
			case PGHA_FATE_KEEP:
				pgha_clone_say_kept(run);
				break;
			case PGHA_FATE_AWAIT:
				pgha_agent_warning("whether \"%s\" is needed cannot be told now: the next recovery asks again, which the agent"
							   " begins unless pgha.auto_rejoin = off; or delete it when it is not needed",
							   run->old_directory);
				break;
		}
	}
	if (run->old_directory[0] == '\0')
		run->keep_old = run->saved = run->given_up = run->deleting = false;
	(void) pgha_job_record(run);
}
