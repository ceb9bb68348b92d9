/*
 * report.c
 *		What a recovery tells of itself: the files `job` and `progress` in the
 *		agent directory, why it fails, and whether it is to be given up.
 *
 * `job` is what it must remember over a crash: it is replaced as a whole and
 * synced before each step that depends on it.  `progress` is only for show.  The
 * room below all others of a recovery: it calls none of them, and decides
 * nothing.
 */
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/fields.h"
#include "../common/log.h"
#include "../common/text.h"
#include "../host/durable.h"

#define PROGRESS_EVERY_MS	1000

static volatile sig_atomic_t told_to_end = 0;

void
pgha_job_path(const PghaAgentConf *conf, const char *name, char *path)
{
	(void) snprintf(path, PATH_MAX + 32, "%s/%s", conf->directory, name);
}

/* ---- why it fails ---- */

bool
pgha_job_fail(PghaJobRun *run, const char *sqlstate, const char *detail, const char *hint,
			  const char *format,...)
{
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(run->message, sizeof(run->message), format, args);
	va_end(args);
	(void) snprintf(run->sqlstate, sizeof(run->sqlstate), "%s", sqlstate);
	(void) snprintf(run->detail, sizeof(run->detail), "%s", detail != NULL ? detail : "");
	(void) snprintf(run->hint, sizeof(run->hint), "%s", hint != NULL ? hint : "");
	pgha_text_clean(run->message);
	pgha_text_clean(run->detail);
	pgha_text_clean(run->hint);
	return false;
}

bool
pgha_job_program_failed(PghaJobRun *run, const PghaRun *program, const char *hint, const char *format,...)
{
	bool		full = strstr(program->last, "No space left") != NULL ||
		strstr(program->last, "quota exceeded") != NULL;
	bool		login = strstr(program->last, "password") != NULL || strstr(program->last, "pg_hba.conf") != NULL;
	char		text[sizeof(run->message)];
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return pgha_job_fail(run, full ? STATE_DISK_FULL : STATE_NOT_IN_STATE, program->last,
						 full ? "Make room there." :
						 login ? "See pg_hba.conf of the primary, and pgha.conninfo and its passfile here." : hint,
						 "%s", text);
}

void
pgha_job_forget_failure(PghaJobRun *run)
{
	run->sqlstate[0] = run->message[0] = run->detail[0] = run->hint[0] = '\0';
}

/* ---- the files ---- */

static void
add_field(PghaLine *line, const char *key, const char *value)
{
	line->fields = 0;
	pgha_line_add(line, key);
	pgha_line_add(line, value);
	if (line->length + 1 < line->size)
	{
		line->text[line->length++] = '\n';
		line->text[line->length] = '\0';
	}
}

static void
add_number(PghaLine *line, const char *key, int64_t value)
{
	char		text[32];

	(void) snprintf(text, sizeof(text), "%lld", (long long) value);
	add_field(line, key, text);
}

static void
add_directory(PghaLine *line, const char *key, const PghaDirectory *directory)
{
	char		text[128];

	(void) snprintf(text, sizeof(text), "%llu %llu %llu %llu %llu",
					(unsigned long long) directory->device, (unsigned long long) directory->inode,
					(unsigned long long) directory->term, (unsigned long long) directory->end,
					(unsigned long long) directory->written);
	add_field(line, key, text);
}

bool
pgha_job_write(PghaJobRun *run, const char *outcome)
{
	static char text[32768];
	char		path[PATH_MAX + 32];
	PghaLine	line;

	pgha_line_init(&line, text, sizeof(text));
	add_number(&line, "id", run->order.id);
	add_field(&line, "node", run->conf->members.member[run->conf->self].name);
	add_field(&line, "method", pgha_method_word(run->order.method));
	add_number(&line, "ordered", run->order.ordered);
	add_number(&line, "started", run->started);
	add_field(&line, "phase", run->phase);
	add_number(&line, "data_ok", run->data_ok);
	add_number(&line, "cloned", run->cloned);
	add_number(&line, "stopped", run->stopped);
	add_number(&line, "was_stopped", run->was_stopped);
	add_field(&line, "new_directory", run->new_directory);
	add_directory(&line, "new_id", &run->new_id);
	add_number(&line, "new_whole", run->new_whole);
	add_directory(&line, "replaced", &run->replaced);
	add_number(&line, "saved", run->saved);
	add_number(&line, "given_up", run->given_up);
	add_number(&line, "deleting", run->deleting);
	add_field(&line, "source", run->source);
	add_number(&line, "source_term", (int64_t) run->source_term);
	add_field(&line, "placed_source", run->placed_source);
	add_number(&line, "placed_term", (int64_t) run->placed_term);
	add_number(&line, "stop_written", (int64_t) run->stop_written);
	add_number(&line, "order_term", (int64_t) run->order_term);
	add_number(&line, "order_at", run->order_at);
	add_field(&line, "boot", run->boot);
	add_field(&line, "leader", run->leader != PGHA_NOBODY ? run->conf->members.member[run->leader].name : "");
	add_field(&line, "old_directory", run->old_directory);
	add_field(&line, "spent_directory", run->spent_directory);
	add_number(&line, "keep_old", run->keep_old);
	add_number(&line, "repeated", run->repeated);
	add_field(&line, "outcome", outcome);
	add_field(&line, "sqlstate", run->sqlstate);
	add_field(&line, "message", run->message);
	add_field(&line, "detail", run->detail);
	add_field(&line, "hint", run->hint);
	pgha_job_path(run->conf, "job", path);
	return pgha_write_file(path, text, line.length, 0600, true);
}

bool
pgha_job_record(PghaJobRun *run)
{
	if (pgha_job_write(run, ""))
		return true;
	return pgha_job_fail(run, errno == ENOSPC || errno == EDQUOT ? STATE_DISK_FULL : STATE_IO, NULL,
						 "See that the agent's directory can be written to.",
						 "could not write the job file in \"%s\": %s", run->conf->directory, strerror(errno));
}

static void
write_progress(PghaJobRun *run, const char *message, int64_t done, int64_t total)
{
	char		text[2048];
	char		path[PATH_MAX + 32];
	PghaLine	line;

	pgha_line_init(&line, text, sizeof(text));
	pgha_line_add(&line, run->phase);
	pgha_line_addf(&line, "%lld", (long long) done);
	pgha_line_addf(&line, "%lld", (long long) total);
	pgha_line_add(&line, message);
	pgha_job_path(run->conf, "progress", path);
	(void) pgha_write_file(path, text, line.length, 0600, false);
}

static char phase_message[512];

/*
 * In build/pgha-test only: the process stops itself at the point named in this
 * environment variable, so that it can be killed there.  The program that it runs
 * would go on, and end: it is stopped first.
 */
void
pgha_job_test_stop(const char *phase, pid_t program)
{
#ifdef PGHA_TEST_HOOKS
	const char *at = getenv("PGHA_TEST_STOP_AT");

	if (at == NULL || strcmp(at, phase) != 0)
		return;
	if (program > 0)
		(void) kill(program, SIGSTOP);
	(void) raise(SIGSTOP);
#else
	(void) phase;
	(void) program;
#endif
}

bool
pgha_job_phase(PghaJobRun *run, const char *phase, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(phase_message, sizeof(phase_message), format, args);
	pgha_text_clean(phase_message);
	va_end(args);
	(void) snprintf(run->phase, sizeof(run->phase), "%s", phase);
	write_progress(run, phase_message, 0, 0);
	pgha_agent_log("recovery: %s: %s", phase, phase_message);
	if (!pgha_job_record(run))
		return false;
	pgha_job_test_stop(phase, 0);
	return true;
}

void
pgha_job_progress(PghaJobRun *run, int64_t done, int64_t total)
{
	static int64_t written = 0;
	int64_t		now = pgha_awake_ms();

	if (written != 0 && now - written < PROGRESS_EVERY_MS)
		return;
	written = now;
	write_progress(run, phase_message, done, total);
}

/* ---- giving up ---- */

static void
handle_end(int signal_number)
{
	(void) signal_number;
	told_to_end = 1;
}

void
pgha_job_heed_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	(void) sigemptyset(&action.sa_mask);
	action.sa_handler = handle_end;
	(void) sigaction(SIGINT, &action, NULL);
	(void) sigaction(SIGTERM, &action, NULL);
	action.sa_handler = SIG_IGN;
	(void) sigaction(SIGPIPE, &action, NULL);
	(void) sigaction(SIGHUP, &action, NULL);
	action.sa_handler = SIG_DFL;
	(void) sigaction(SIGCHLD, &action, NULL);
	pgha_unblock_signals();
}

bool
pgha_job_cancelled(void *arg)
{
	return told_to_end && !((PghaJobRun *) arg)->irrevocable;
}

bool
pgha_job_check_cancel(PghaJobRun *run)
{
	if (!pgha_job_cancelled(run))
		return true;
	return pgha_job_fail(run, STATE_CANCELLED, NULL, NULL, "cancelled while %s", run->phase);
}

void
pgha_job_sleep(PghaJobRun *run, int ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	if (!pgha_job_cancelled(run))
		(void) nanosleep(&left, NULL);
}
