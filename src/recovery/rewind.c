/*
 * rewind.c
 *		Taking this node back to where the leader's history left its own: pg_rewind.
 *
 * All that can be known to be in vain is found out before anything is touched.
 * The data directory is marked (mark.h) while pg_rewind works on it; from the
 * moment it begins to copy, the directory is whole again only when it has ended
 * well, and otherwise needs a clone.
 */
#include "rewind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../host/compat.h"
#include "../host/mark.h"
#include "../host/process.h"
#include "../host/server_ctl.h"
#include "archive.h"
#include "kept_wal.h"
#include "leader.h"
#include "lost.h"
#include "own.h"
#include "server.h"
#include "settings.h"
#include "spared.h"
#include "swap.h"
#include "top.h"
#include "votes.h"

/* pgha has a new primary make a checkpoint some seconds after its promotion. */
#define CHECKPOINT_WAIT_S	60

static const char *const clone_hint = "The method clone builds the node anew.";

/* What is watched for in pg_rewind's output. */
typedef struct Watch
{
	PghaJobRun *run;
	const PghaRun *program;
	bool		rehearsal;		/* it changes nothing */
	bool		no_rewind;		/* it found nothing to do */
	pgha_lsn	checkpoint;		/* the last common one; 0: not told */
	uint32_t	timeline;		/* of that */
} Watch;

static void
take_line(const char *line, void *arg)
{
	Watch	   *watch = arg;
	long long	done;
	long long	total;
	const char *checkpoint = strstr(line, "last common checkpoint at ");

	if (strstr(line, "no rewind required") != NULL)
		watch->no_rewind = true;
	else if (checkpoint != NULL)
	{
		const char *timeline = strstr(checkpoint, "on timeline ");

		watch->checkpoint = pgha_lsn_of(checkpoint + strlen("last common checkpoint at "));
		watch->timeline = timeline != NULL ? (uint32_t) strtoul(timeline + strlen("on timeline "), NULL, 10) : 0;
	}
	else if (watch->rehearsal)
		return;
	else if (strstr(line, "need to copy") != NULL)
	{
		watch->run->irrevocable = true;
		pgha_job_test_stop("copying", watch->program->pid);
	}
	else if (sscanf(line, " %lld/%lld kB", &done, &total) == 2)
		pgha_job_progress(watch->run, done * 1024, total * 1024);
}

static bool
is_cancelled(void *arg)
{
	return pgha_job_cancelled(((Watch *) arg)->run);
}

static bool
check_control(PghaJobRun *run, PghaControl *control)
{
	char		error[600];

	if (!pgha_server_control(run->conf, control, error, sizeof(error)))
		return pgha_job_fail(run, STATE_IO, error, clone_hint, "the data directory cannot be read");
	if (!control->wal_log_hints && !control->checksums)
		return pgha_job_fail(run, STATE_NOT_IN_STATE,
							 "pg_rewind needs wal_log_hints or data checksums to be on before the nodes part.",
							 "Use the method clone, and write wal_log_hints = on for the next time.",
							 "node \"%s\" cannot be rewound", run->conf->members.member[run->conf->self].name);
	return true;
}

/* pg_rewind takes the leader's timeline from its last checkpoint. */
static bool
await_checkpoint(PghaJobRun *run, PGconn *leader)
{
	int64_t		start = pgha_awake_ms();
	char		error[512];

	for (;;)
	{
		char	   *ready = pgha_member_query(leader, "SELECT timeline_id = ('x' || substr(pg_catalog.pg_walfile_name("
											  "pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint"
											  " FROM pg_catalog.pg_control_checkpoint()", NULL, error, sizeof(error));
		bool		yes = ready != NULL && strcmp(ready, "t") == 0;
		bool		lost = ready == NULL;

		free(ready);
		if (yes)
			return true;
		if (lost)
			return pgha_job_fail(run, STATE_CONNECTION, error, NULL, "could not ask the primary for its checkpoint");
		if (pgha_awake_ms() - start > CHECKPOINT_WAIT_S * 1000)
			return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, "Run CHECKPOINT on the primary, and try again.",
								 "the primary has made no checkpoint on its timeline within %d seconds",
								 CHECKPOINT_WAIT_S);
		if (!pgha_job_check_cancel(run))
			return false;
		pgha_job_sleep(run, 200);
	}
}

/* Runs pg_rewind; its exit status. */
static int
run_pg_rewind(PghaJobRun *run, Watch *watch, PghaRun *program)
{
	char		path[PATH_MAX + 32];
	char		source[PGHA_CONNINFO_SIZE + 64];
	char		source_option[PGHA_CONNINFO_SIZE + 128];
	char		config_option[PATH_MAX + 32];
	char	   *argv[16];
	int			n = 0;

	if (!pgha_conninfo_build(source, sizeof(source), run->conf->conninfo,
							 &run->conf->members.member[run->leader], PGHA_AGENT_APPLICATION,
							 strstr(run->conf->conninfo, "dbname") == NULL ?
							 PGHA_MEMBER_TCP " dbname=postgres" : PGHA_MEMBER_TCP))
		return 1;
	(void) snprintf(path, sizeof(path), "%s/pg_rewind", run->conf->bin);
	(void) snprintf(source_option, sizeof(source_option), "--source-server=%s", source);
	(void) snprintf(config_option, sizeof(config_option), "--config-file=%s", run->conf->config_file);
	argv[n++] = path;
	argv[n++] = "-D";
	argv[n++] = (char *) run->conf->data;
	argv[n++] = source_option;
	argv[n++] = "--progress";
	argv[n++] = "--no-ensure-shutdown";
	if (watch->rehearsal)
		argv[n++] = "--dry-run";
	if (run->conf->restore_command[0] != '\0')
	{
		argv[n++] = "--restore-target-wal";
		argv[n++] = config_option;
	}
	argv[n] = NULL;
	program->argv = argv;
	program->line = take_line;
	program->cancelled = is_cancelled;
	program->arg = watch;
	watch->program = program;
	return pgha_run(program);
}

/*
 * The directory is whole: as it was, or rewound.  It may be started again.  That
 * is remembered first; a mark that a crash leaves behind is then known to be
 * without a meaning.
 */
static bool
take_back(PghaJobRun *run)
{
	char		error[512];
	bool		recorded;

	run->data_ok = true;
	recorded = pgha_job_record(run);
	if (!pgha_mark_clear(run->conf->data, error, sizeof(error)))
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "%s", error);
	return recorded;
}

/* Runs the server in single-user mode: it recovers, makes a checkpoint and ends. */
static bool
run_single_user(PghaJobRun *run)
{
	char		path[PATH_MAX + 32];
	char		option[PATH_MAX + 32];
	char	   *argv[12];
	int			n = 0;
	PghaRun		program = {.argv = argv, .cancelled = pgha_job_cancelled, .arg = run};
	int			status;

	(void) snprintf(path, sizeof(path), "%s/postgres", run->conf->bin);
	(void) snprintf(option, sizeof(option), "config_file=%s", run->conf->config_file);
	argv[n++] = path;
	argv[n++] = "--single";
	argv[n++] = "-D";
	argv[n++] = (char *) run->conf->data;
	if (run->conf->config_outside)
	{
		argv[n++] = "-c";
		argv[n++] = option;
	}
	/* What pg_rewind will look for must not be recycled. */
	argv[n++] = "-c";
	argv[n++] = "wal_keep_size=1000000000";
	argv[n++] = "-c";
	argv[n++] = "max_slot_wal_keep_size=-1";
	argv[n++] = "template1";
	argv[n] = NULL;
	if (!pgha_job_prove_down(run))
		return false;
	status = pgha_run(&program);
	if (status == 0)
		return true;
	return program.was_cancelled ?
		pgha_job_fail(run, STATE_CANCELLED, NULL, NULL, "cancelled while finishing recovery") :
		pgha_job_program_failed(run, &program, clone_hint,
								"node \"%s\" cannot be rewound: its recovery could not be finished",
								run->conf->members.member[run->conf->self].name);
}

/* Does pg_rewind not see all of the WAL here as it is? */
static bool
needs_checkpoint(const PghaControl *control, const PghaFork *fork)
{
	return PGHA_REWIND_NEEDS_CHECKPOINT && control->checkpoint_timeline < fork->own_timeline;
}

/*
 * Up to PostgreSQL 15, pg_rewind takes this node's timeline from its last
 * checkpoint, too.  A node that led, or followed, its last timeline for a short
 * time only has none on it, and pg_rewind would not see the WAL there.  So the
 * node finishes the recovery that it began as a standby: that adds a checkpoint
 * to WAL that has been proven to be none of the leader's, and saved.
 *
 * That cannot be done as a standby.  If somebody starts the server before
 * standby.signal is back, it comes up as one all the same: it has remembered
 * that it has diverged (server/boot.c).
 */
static bool
finish_recovery(PghaJobRun *run, const PghaControl *before, const PghaFork *fork)
{
	PghaControl after;
	char		path[PATH_MAX + 32];
	bool		finished;

	if (!needs_checkpoint(before, fork))
		return true;
	if (!pgha_job_phase(run, "finishing recovery", "makes a checkpoint on timeline %u", fork->own_timeline))
		return false;
	(void) snprintf(path, sizeof(path), "%s/standby.signal", run->conf->data);
	if (unlink(path) != 0 && errno != ENOENT)
		return pgha_job_fail(run, STATE_IO, NULL, NULL, "could not remove file \"%s\": %s", path, strerror(errno));
	finished = run_single_user(run);
	if (!pgha_write_standby_signal(run) || !finished || !check_control(run, &after))
		return false;

	/* Unlike a standby's, this recovery is content with less WAL than the data files have seen. */
	return (after.checkpoint_timeline >= fork->own_timeline && after.checkpoint_lsn >= before->min_recovery_lsn) ||
		pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, clone_hint,
					  "node \"%s\" cannot be rewound: its WAL ends before timeline %u, of which it has data",
					  run->conf->members.member[run->conf->self].name, fork->own_timeline);
}

static bool
sees_no_difference(PghaJobRun *run)
{
	return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, clone_hint,
						 "pg_rewind sees no difference between this node, which has diverged, and the primary");
}

/*
 * Has pg_rewind do all that it does before it changes anything, and makes sure
 * that the rewound server will find the WAL that it needs.
 */
static bool
rehearse(PghaJobRun *run, PGconn *leader, const PghaControl *control, const PghaFork *fork)
{
	Watch		watch = {.run = run, .rehearsal = true};
	PghaRun		program = {.argv = NULL};
	int			status;

	status = run_pg_rewind(run, &watch, &program);
	if (program.was_cancelled)
		return pgha_job_fail(run, STATE_CANCELLED, NULL, NULL, "cancelled before rewinding; nothing had been changed");
	if (status != 0)
		return pgha_job_program_failed(run, &program, clone_hint, "pg_rewind would fail");
	if (watch.no_rewind)
		return sees_no_difference(run);
	if (watch.checkpoint == 0)
		return pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, clone_hint,
							 "pg_rewind does not name the last checkpoint that both nodes have");
	return pgha_kept_wal_save(run, leader, control, fork, watch.checkpoint, watch.timeline);
}

/* May another attempt succeed? */
static bool
is_passing(const PghaJobRun *run)
{
	return strcmp(run->sqlstate, STATE_CONNECTION) == 0 || strcmp(run->sqlstate, STATE_CANCELLED) == 0 ||
		strcmp(run->sqlstate, STATE_DISK_FULL) == 0;
}

/*
 * What would a rewind take away?  There is none where that is not known, and where
 * a timeline only has the number of the leader's: pg_rewind goes by the numbers.
 */
static bool
ask_own(PghaJobRun *run, PGconn *leader, PghaOwnAnswer *answer)
{
	if (pgha_own_ask(run, leader, answer) == PGHA_OWN_UNKNOWN)
		return pgha_own_refuse(run, answer, clone_hint);
	return !answer->parted ||
		pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, clone_hint,
					  "timeline %u here is not the primary's timeline of that number", answer->fork.timeline);
}

static bool
save_lost(PghaJobRun *run, const PghaControl *control, const PghaOwnAnswer *answer)
{
	return answer->own == PGHA_OWN_NOTHING || pgha_lost_save(run, control, &answer->fork);
}

/*
 * What is given up is saved when it is known that the rewind will not be in
 * vain; but in front of a checkpoint that is written behind it.
 */
static PghaRewind
rehearse_and_save(PghaJobRun *run, PGconn *leader, const PghaControl *control, const PghaOwnAnswer *answer)
{
	bool		first = needs_checkpoint(control, &answer->fork);

	if (first && !save_lost(run, control, answer))
		return PGHA_REWIND_FAILED;
	if (!finish_recovery(run, control, &answer->fork) || !rehearse(run, leader, control, &answer->fork))
		return is_passing(run) ? PGHA_REWIND_FAILED : PGHA_REWIND_IMPOSSIBLE;
	return (first || save_lost(run, control, answer)) && pgha_settings_save(run) && pgha_job_check_cancel(run) ?
		PGHA_REWIND_DONE : PGHA_REWIND_FAILED;
}

/* Everything before the data directory changes. */
static PghaRewind
prepare(PghaJobRun *run)
{
	PGconn	   *leader = pgha_job_leader(run);
	PghaControl control;
	PghaOwnAnswer answer = {.above = false};
	PghaRewind	result = PGHA_REWIND_FAILED;

	if (leader == NULL)
		return PGHA_REWIND_FAILED;
	if (!check_control(run, &control))
		result = PGHA_REWIND_IMPOSSIBLE;
	else if (pgha_own_ask(run, leader, &answer) == PGHA_OWN_UNKNOWN && answer.above)
		(void) pgha_own_refuse(run, &answer, clone_hint);	/* the server is not stopped in vain */
	else if (!pgha_top_look(run, leader, PGHA_TOP_REWIND))
		result = is_passing(run) ? PGHA_REWIND_FAILED : PGHA_REWIND_IMPOSSIBLE;
	else if (await_checkpoint(run, leader) && pgha_await_spared(run) && pgha_swap_check_held(run, true) &&
			 pgha_stop(run))
	{
		/* Now pg_control says where the WAL ends. */
		if (!check_control(run, &control) || !ask_own(run, leader, &answer) ||
			!pgha_fork_proven(run, leader, &control, &answer.fork))
			result = is_passing(run) || answer.above ? PGHA_REWIND_FAILED : PGHA_REWIND_IMPOSSIBLE;
		else if (pgha_job_check_cancel(run) && pgha_archive_keep(run, &control, &answer.fork))
			result = rehearse_and_save(run, leader, &control, &answer);
	}
	PQfinish(leader);
	return result;
}

/* Between the marks. */
static PghaRewind
rewind_marked(PghaJobRun *run)
{
	Watch		watch = {.run = run};
	PghaRun		program = {.argv = NULL};
	int			status = run_pg_rewind(run, &watch, &program);

	if (status == 0 && !watch.no_rewind)
	{
		run->irrevocable = true;
		return pgha_kept_wal_put_back(run) && pgha_make_standby(run, run->conf->data) ?
			PGHA_REWIND_DONE : PGHA_REWIND_FAILED;
	}
	if (status == 0)
		(void) sees_no_difference(run);
	else if (program.was_cancelled)
		pgha_job_fail(run, STATE_CANCELLED, NULL, NULL, "cancelled while rewinding; nothing had been changed");
	else
		pgha_job_program_failed(run, &program, clone_hint, "pg_rewind failed%s",
								run->irrevocable ? " in the middle; the data directory is not whole" : "");

	if (run->irrevocable)
	{
		/* A clone may be cancelled again. */
		run->irrevocable = false;
		return PGHA_REWIND_IMPOSSIBLE;
	}
	if (!pgha_settings_restore(run) || !take_back(run))
		return PGHA_REWIND_FAILED;
	return program.was_cancelled ? PGHA_REWIND_FAILED : PGHA_REWIND_IMPOSSIBLE;
}

static PghaRewind
change_data(PghaJobRun *run)
{
	char		error[512];
	PghaRewind	result;

	if (!pgha_job_prove_down(run))
		return PGHA_REWIND_FAILED;
	if (!pgha_mark_set(run->conf->data, error, sizeof(error)))
	{
		pgha_job_fail(run, STATE_IO, NULL, NULL, "%s", error);
		return PGHA_REWIND_FAILED;
	}
	if (pgha_votes_save(run) &&
		pgha_job_phase(run, "rewinding", "rewinds to the history of \"%s\"",
					   run->conf->members.member[run->leader].name))
		run->data_ok = false;
	if (run->data_ok || !pgha_job_record(run) || !pgha_job_check_cancel(run) || !pgha_job_prove_down(run))
	{
		(void) take_back(run);
		return PGHA_REWIND_FAILED;
	}
	if (!pgha_settings_open(run))
	{
		(void) pgha_settings_restore(run);
		(void) take_back(run);
		return PGHA_REWIND_FAILED;
	}
	result = rewind_marked(run);
	if (result == PGHA_REWIND_DONE && !take_back(run))
		return PGHA_REWIND_FAILED;
	return result;
}

PghaRewind
pgha_rewind(PghaJobRun *run)
{
	PghaRewind	result = prepare(run);

	if (result == PGHA_REWIND_DONE)
		result = change_data(run);
	pgha_kept_wal_forget(run->conf);
	if (result != PGHA_REWIND_DONE)
	{
		/* It serves reads meanwhile, whether a clone follows or not. */
		if (run->data_ok)
			pgha_start_again(run);
		return result;
	}
	pgha_archive_hand_on(run);
	if (!pgha_start(run))
		return strcmp(run->sqlstate, STATE_UNDEFINED_FILE) == 0 ? PGHA_REWIND_IMPOSSIBLE : PGHA_REWIND_FAILED;
	switch (pgha_await_verdict(run))
	{
		case PGHA_VERDICT_STREAMS:
			return PGHA_REWIND_DONE;
		case PGHA_VERDICT_DIVERGED:
			pgha_job_fail(run, STATE_NOT_IN_STATE, NULL, clone_hint, "the node has diverged again after the rewind");
			return PGHA_REWIND_IMPOSSIBLE;
		case PGHA_VERDICT_WAL_GONE:
			return PGHA_REWIND_IMPOSSIBLE;
		case PGHA_VERDICT_PRIMARY:
			return PGHA_REWIND_DONE;
		case PGHA_VERDICT_FAILED:
			break;
	}
	return PGHA_REWIND_FAILED;
}
