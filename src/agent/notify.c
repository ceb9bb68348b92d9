/*
 * notify.c
 *		Telling people and programs what happens: pgha.notify_command.
 *
 * A process of its own, which ends with the agent: it may wait, for the command and
 * for the own server.  It looks at the file of the events, and asks the server when
 * that has changed; so it costs nothing while nothing happens.  The command is run
 * for one event after the other, and what was told is written down after each: an
 * event is told at least once, and twice only if this process is killed between the
 * two, or by two agents if one cannot know of the other.
 *
 * It never decides anything, and nothing waits for it.
 */
#include "notify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/command.h"
#include "../common/log.h"
#include "../host/process.h"
#include "notice.h"

#define LOOK_EVERY_MS		500
#define ASK_AGAIN_MS		5000	/* a server that did not answer, or events that are perhaps ours */
#define PAUSE_FIRST_MS		1000
#define PAUSE_MAX_MS		60000
#define MAX_TRIES			10		/* some four minutes */
#define START_AGAIN_MS		5000
/* How many were dropped is tried again so long after that was given up, or when another one was delivered. */
#define DROPPED_AGAIN_MS	3600000

/* ---- in the process ---- */

static const PghaAgentConf *conf;
static PghaNotified notified;
static PghaNotices notices;
static bool write_complained = false;
static int	tries = 0;			/* of the one that is to be told */
static char tried[sizeof(((PghaNotice *) 0)->id)] = "";
static int64_t not_before = 0;
static int64_t dropped_not_before = 0;
static bool dropped_complained = false; /* that this cannot be told; until something can */

static void
remember(void)
{
	bool		written = pgha_notified_write(conf, &notified);

	if (!written && !write_complained)
		pgha_agent_warning("could not write the file \"notified\" in \"%s\", so that a new agent may tell events again: %s",
						   conf->directory, strerror(errno));
	write_complained = !written;
}

/* Has the file of the events changed since this was asked last? */
static bool
has_changed(void)
{
	static struct timespec seen;
	static ino_t seen_file;
	char		path[PATH_MAX + 32];
	struct stat st;

	(void) snprintf(path, sizeof(path), "%s/pgha.events", conf->data);
	if (stat(path, &st) != 0 ||
		(st.st_ino == seen_file && st.st_mtim.tv_sec == seen.tv_sec && st.st_mtim.tv_nsec == seen.tv_nsec))
		return false;
	seen = st.st_mtim;
	seen_file = st.st_ino;
	return true;
}

static void
look(void)
{
	static bool due = true;
	static int64_t ask_at = 0;
	const int64_t led = notified.leads_since;
	int64_t		now = pgha_clock_ms();

	due |= has_changed();
	if (now < ask_at || (!due && !notices.look_again))
		return;
	due = !pgha_notices_ask(conf, &notified, &notices);
	ask_at = due || notices.look_again ? now + ASK_AGAIN_MS : now;
	if (notified.leads_since != led)
		remember();
}

/* What the command has of this process's environment: nothing that may be secret. */
static char **
environment(void)
{
	static const char *const names[] = {"PATH", "HOME", "LANG"};
	static char text[5][PATH_MAX];
	static char *list[6];
	int			count = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		const char *value = getenv(names[i]);

		if (value != NULL && snprintf(text[count], PATH_MAX, "%s=%s", names[i], value) < PATH_MAX)
		{
			list[count] = text[count];
			count++;
		}
	}
	(void) snprintf(text[count], PATH_MAX, "PGHA_NODE=%s", conf->members.member[conf->self].name);
	list[count] = text[count];
	count++;
	(void) snprintf(text[count], PATH_MAX, "PGHA_CLUSTER=%s", conf->cluster);
	list[count] = text[count];
	list[count + 1] = NULL;
	return list;
}

/* Runs the command; false with a sentence. */
static bool
run_command(const PghaNotice *notice, char *error, size_t size)
{
	char		object[PGHA_RUN_INPUT];
	PghaRun		run = {.limit_ms = conf->notify_timeout_ms, .input = object, .environment = environment(), .end_signal = SIGTERM};
	int			status;

	if (!pgha_notice_object(conf, notice, object, sizeof(object)))
	{
		(void) snprintf(error, size, "the event cannot be written as JSON");
		return false;
	}
	run.argv = pgha_command_split(conf->notify_command, NULL, error, size);
	if (run.argv == NULL)
		return false;
	status = pgha_run(&run);
	free(run.argv);
	if (run.timed_out)
		(void) snprintf(error, size, "it did not end within %d ms", conf->notify_timeout_ms);
	else
		(void) snprintf(error, size, "status %d%s%s", status, run.last[0] != '\0' ? ": " : "", run.last);
	return status == 0 && !run.timed_out;
}

/* Before the next try of one that has failed so often. */
static int64_t
pause_after(int failures)
{
	int64_t		pause = PAUSE_FIRST_MS;

#ifdef PGHA_TEST_HOOKS
	if (getenv("PGHA_TEST_NOTIFY_PAUSE_MS") != NULL)
		return atoi(getenv("PGHA_TEST_NOTIFY_PAUSE_MS"));
#endif
	for (int i = 1; i < failures && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

/* Notes a failure; true if it is given up. */
static bool
has_failed(const PghaNotice *notice, const char *error)
{
	tries++;
	not_before = pgha_clock_ms() + pause_after(tries);
	if (strcmp(notice->kind, "dropped") == 0 && dropped_complained)
		return tries >= MAX_TRIES;
	if (tries == 1)
		pgha_agent_warning("pgha.notify_command failed for %s (%s), is tried again: %s", notice->kind, notice->id, error);
	if (tries < MAX_TRIES)
		return false;
	pgha_agent_error("pgha.notify_command failed %d times for %s (%s), which is given up: %s", tries, notice->kind, notice->id, error);
	return true;
}

/* True if it need not be told any more. */
static bool
tell(const PghaNotice *notice)
{
	char		error[1200];
	bool		is_dropped = strcmp(notice->kind, "dropped") == 0;

	if (strcmp(tried, notice->id) != 0)
	{
		tries = 0;
		not_before = 0;
		(void) snprintf(tried, sizeof(tried), "%s", notice->id);
	}
	if (pgha_clock_ms() < not_before)
		return false;
	if (run_command(notice, error, sizeof(error)))
	{
		pgha_agent_log("told of %s: %s", notice->kind, notice->text);
		dropped_not_before = 0;
		dropped_complained = false;
	}
	else if (!has_failed(notice, error))
		return false;
	else if (is_dropped)
	{
		/* The number stands, and grows. */
		dropped_not_before = pgha_clock_ms() + DROPPED_AGAIN_MS;
		dropped_complained = true;
		tried[0] = '\0';
		return false;
	}
	else
		notified.dropped++;
	pgha_notice_told(&notified, notice);
	remember();
	return true;
}

/* How many were not told, when nothing else is to be. */
static void
make_dropped(PghaNotice *notice)
{
	static int64_t at = 0;
	static int	dropped = 0;

	if (dropped != notified.dropped)
		at = pgha_notice_clock_us();
	dropped = notified.dropped;
	memset(notice, 0, sizeof(*notice));
	notice->at = at;
	(void) snprintf(notice->node, sizeof(notice->node), "%s", conf->members.member[conf->self].name);
	(void) snprintf(notice->id, sizeof(notice->id), "%s:dropped-%lld", notice->node, (long long) at);
	(void) snprintf(notice->kind, sizeof(notice->kind), "dropped");
	notice->severity = PGHA_SEVERITY_WARNING;
	(void) snprintf(notice->text, sizeof(notice->text), "%d notification(s) were dropped: see pgha_events() and the agent's log", dropped);
	(void) snprintf(notice->primary, sizeof(notice->primary), "%s", notices.primary);
}

/* Tells one.  True if there may be another. */
static bool
tell_next(void)
{
	static PghaNotice of_job;
	static PghaNotice of_dropped;

	if (notices.count > 0)
	{
		if (!tell(&notices.notice[0]))
			return false;
		notices.count--;
		memmove(&notices.notice[0], &notices.notice[1], (size_t) notices.count * sizeof(PghaNotice));
		return true;
	}
	if (pgha_notice_of_job(conf, &notified, &of_job))
		return tell(&of_job);
	if (notified.dropped > 0 && pgha_clock_ms() >= dropped_not_before)
	{
		make_dropped(&of_dropped);
		return tell(&of_dropped);
	}
	return false;
}

static void
run_notifier(void)
{
	pgha_agent_log_process("notify");
	if (!pgha_notified_read(conf, &notified, pgha_notice_clock_us()))
		remember();
	for (;;)
	{
		look();
		if (!tell_next())
			(void) poll(NULL, 0, LOOK_EVERY_MS);
	}
}

/* ---- in the agent ---- */

/* What the process goes by: with another one it is started anew. */
typedef struct Settings
{
	char		command[PGHA_COMMAND_SIZE];
	PghaEventKinds events;
	int			timeout_ms;
	char		conninfo[PGHA_CONNINFO_SIZE];
	char		cluster[sizeof(((PghaAgentConf *) 0)->cluster)];
	bool		log_json;
	PghaAddress self;
} Settings;

static Settings in_force;
static pid_t process = 0;
static bool ending = false;
static int64_t start_at = 0;

static void
start(const PghaAgentConf *configuration)
{
	pid_t		parent = getpid();

	(void) fflush(NULL);
	process = fork();
	if (process == 0)
	{
		pgha_become_child(-1);
		if (!pgha_end_with(parent, SIGTERM))
			_exit(0);
		(void) signal(SIGPIPE, SIG_IGN);
		conf = configuration;
		run_notifier();
	}
	if (process > 0)
		return;
	pgha_agent_error("could not start a process: %s", strerror(errno));
	process = 0;
}

void
pgha_notify_tend(const PghaAgentConf *configuration, int64_t now)
{
	Settings	wanted;

	memset(&wanted, 0, sizeof(wanted));
	memcpy(wanted.command, configuration->notify_command, sizeof(wanted.command));
	wanted.events = configuration->notify_events;
	wanted.timeout_ms = configuration->notify_timeout_ms;
	memcpy(wanted.conninfo, configuration->conninfo, sizeof(wanted.conninfo));
	memcpy(wanted.cluster, configuration->cluster, sizeof(wanted.cluster));
	wanted.log_json = configuration->log_json;
	wanted.self = configuration->members.member[configuration->self];
	if (process != 0 && !ending && memcmp(&wanted, &in_force, sizeof(wanted)) != 0)
	{
		/* What it was about to tell, the next one tells. */
		(void) kill(process, SIGTERM);
		ending = true;
		start_at = 0;
	}
	if (process != 0 || wanted.command[0] == '\0' || now < start_at)
		return;
	in_force = wanted;
	ending = false;
	start_at = now + START_AGAIN_MS;
	start(configuration);
}

bool
pgha_notify_ended(pid_t pid)
{
	if (process == 0 || pid != process)
		return false;
	if (!ending)
		pgha_agent_warning("the process that runs pgha.notify_command has died, and is started again");
	process = 0;
	return true;
}
