/*
 * agent.c
 *		`pgha agent`: the service beside the server that does what must be done
 *		while the server is down.
 *
 * One loop that never blocks.  It looks at the own server, keeps a session with
 * it while it runs and one with the primary (session.c), and gives work to
 * children: a recovery (recovery/job.c), which goes on when the agent ends, the
 * keeper of the address (keeper.c), the process that answers over HTTP (web/web.c),
 * and the process that tells pgpool of changes (pgpool.c).
 *
 * Recoveries begin in two ways.  An order comes from the primary, where somebody
 * called pgha_recover_node() or pgpool_recovery().  And the agent begins one by
 * itself as far as pgha.auto_rejoin allows, for a server that has crashed or
 * whose WAL has diverged; never for one that an administrator has stopped, and
 * not while failover is paused.  One that fails is tried again after a pause
 * that grows.
 *
 * Beside a witness it has one task only: to write the list of members when the
 * primary orders it (lists.c).  It asks the witness nothing, and touches no server.
 *
 * It listens on no port, but for pgha.http.  It ends at once on SIGTERM; SIGHUP has it read the
 * configuration again, which it also does when a file has changed.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/log.h"
#include "../common/program.h"
#include "../common/text.h"
#include "../host/durable.h"
#include "../host/server_ctl.h"
#include "../host/server_log.h"
#include "../host/startup.h"
#include "../recovery/job.h"
#include "../web/web.h"
#include "conf.h"
#include "control.h"
#include "handover.h"
#include "keeper.h"
#include "lists.h"
#include "lock.h"
#include "notify.h"
#include "pause.h"
#include "pgpool.h"
#include "service.h"
#include "session.h"

#define LOOK_EVERY_MS		500
#define IDLE_POLL_MS		5000
#define JOB_POLL_MS			250
#define LIST_POLL_MS		20
#define ANSWER_LIMIT_MS		5000	/* beyond what the server was allowed to wait */

/* A server that is down may be about to restart itself, or be started by the system. */
#define DOWN_BEFORE_START_MS	2000
#define NO_LEADER_BEFORE_START_MS	15000
/* A standby that does not stream though the primary is there. */
#define NO_STREAM_BEFORE_CLONE_MS	30000
/* A server that accepts no connections though the primary is there: a recovery looks what it waits for. */
#define STARTING_BEFORE_JOB_MS	30000

#define PAUSE_FIRST_MS		5000
#define PAUSE_MAX_MS		300000

/* What cannot be told for a moment only is not worth a line. */
#define UNKNOWN_TOLD_AFTER_MS	10000

/* Outcome of a job that ended while no agent ran: told if it is not older. */
#define FRESH_OUTCOME_S		600

static volatile sig_atomic_t told_to_end = 0;
static volatile sig_atomic_t told_to_reload = 0;
static int	wake_pipe[2] = {-1, -1};

static PghaAgentOptions options;
static PghaAgentConf conf;
static PghaSession own = {.what = "own server", .member = PGHA_NOBODY};
static PghaSession primary = {.what = "primary", .member = PGHA_NOBODY};
static PghaServer server;
static char unknown_why[PGHA_WHY_SIZE];	/* why that cannot be told */
static PghaJobStatus job;
static PghaJobStatus not_begun;	/* a job whose process could not even write its file */

static int64_t look_at = 0;		/* when a server that is down is looked at again */
static int64_t down_since = 0;	/* 0: the server runs */
static int64_t not_streaming_since = 0; /* 0: it streams, or need not */
static int64_t starting_since = 0;	/* 0: it does not run, or accepts connections */
static int64_t pause_until = 0;
static int	attempts = 0;		/* that failed in a row */
static int64_t undecided_at = 0;	/* when the last job ended; 0: what it has left may be decided on at once */
static bool job_seen_running = false;
static pid_t starter = 0;		/* the process that starts a server that has handed over */
static int64_t start_not_before = 0;
static int	starts = 0;			/* in a row, of such a server */
static int	leader_before = PGHA_NOBODY;
static char told[PGHA_WHY_SIZE];			/* what an administrator was told to do */
static int64_t left_job = 0;	/* it was interrupted, and is not begun again */
static const char *left_because;

/* ---- signals ---- */

static void
handle_signal(int signal_number)
{
	int			save_errno = errno;

	if (signal_number == SIGHUP)
		told_to_reload = 1;
	else if (signal_number != SIGCHLD)
		told_to_end = 1;
	if (write(wake_pipe[1], "", 1) < 0)
	{
		/* It is full: the loop will wake up. */
	}
	errno = save_errno;
}

static bool
set_up_signals(void)
{
	static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
	struct sigaction action;

	if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	memset(&action, 0, sizeof(action));
	(void) sigemptyset(&action.sa_mask);
	action.sa_flags = SA_RESTART;
	action.sa_handler = handle_signal;
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
		(void) sigaction(handled[i], &action, NULL);
	action.sa_handler = SIG_IGN;
	(void) sigaction(SIGPIPE, &action, NULL);
	return true;
}

/* ---- configuration ---- */

/* Reads the configuration if it has changed; keeps the former one if the new one is bad. */
static void
reload(int64_t now)
{
	bool		told_now = told_to_reload != 0;

	if (told_now)
	{
		told_to_reload = 0;
		pgha_service_reloads();
	}
	if (pgha_agent_conf_reload(&conf, &options, told_now, job.running != 0, now) != PGHA_RELOAD_MEMBERS)
		return;
	pgha_session_close(&own);
	pgha_session_close(&primary);
	pgha_pause_forget();
	leader_before = PGHA_NOBODY;
}

/* ---- sessions ---- */

static bool
runs(void)
{
	return server == PGHA_SERVER_RUNNING;
}

/* Runs, or that is not known. */
static bool
may_run(void)
{
	return runs() || server == PGHA_SERVER_UNKNOWN;
}

static bool
own_is_primary(void)
{
	return own.answered && !own.poll.in_recovery && strcmp(own.poll.state, "primary") == 0;
}

/* The member that the primary session is with, if it is a primary; else PGHA_NOBODY. */
static int
known_leader(void)
{
	return primary.answered && !primary.poll.in_recovery && strcmp(primary.poll.state, "primary") == 0 ?
		primary.member : PGHA_NOBODY;
}

/* Whom to try next: the leader that the own server names, else one member after the other. */
static int
next_member(void)
{
	int			named = own.answered ? pgha_members_find(&conf.members, own.poll.leader) : PGHA_NOBODY;
	int			next = primary.member;

	if (named != PGHA_NOBODY && named != conf.self && (primary.failures == 0 || next != named))
		return named;
	do
		next = (next + 1) % conf.members.count;
	while (next == conf.self && conf.members.count > 1);
	return next;
}

static void
tend_sessions(int64_t now)
{
	/* Where it cannot be told whether it runs, its session is what can. */
	if (!may_run() || conf.witness)
		pgha_session_close(&own);
	else if (own.state == PGHA_SESSION_CLOSED && now >= own.retry_at)
		pgha_session_open(&own, &conf, conf.self);

	if (own_is_primary() || (conf.members.count < 2 && !conf.witness))
		pgha_session_close(&primary);
	else if (primary.state == PGHA_SESSION_CLOSED && now >= primary.retry_at)
		pgha_session_open(&primary, &conf, next_member());
}

/* ---- the server ---- */

static void
look_at_server(int64_t now)
{
	pid_t		pid;
	bool		streams;

	/* How a server ended that is down does not change often. */
	if (!runs() && now < look_at)
		return;
	look_at = now + 1000;
	pgha_server_log_tend(&conf);
	server = pgha_server_look_why(&conf, &pid, unknown_why, sizeof(unknown_why));
	if (runs())
	{
		if (down_since != 0)
			undecided_at = 0;
		down_since = 0;
	}
	else if (down_since == 0)
	{
		down_since = now;
		pgha_pause_forget();
	}

	if (!runs() || !pgha_startup_goes_on(&conf))
		starting_since = 0;
	else if (starting_since == 0)
		starting_since = now;

	streams = !runs() || !own.answered || !own.poll.in_recovery || own.poll.streaming ||
		strcmp(own.poll.state, "standby") != 0;
	if (streams)
		not_streaming_since = 0;
	else if (not_streaming_since == 0)
		not_streaming_since = now;
}

/* ---- jobs ---- */

static void look_at_job(int64_t now);
static void tell_once(const char *text);

static void
start_job(int64_t id, PghaMethod method, bool ordered, int leader, const char *why)
{
	PghaJobOrder order = {.id = id, .method = method, .ordered = ordered, .leader = leader};
	PghaJobStatus failed;

	/* Neither may the other's files change meanwhile. */
	if (job.running != 0 || pgha_lists_busy())
		return;

	/* One that fails for the same reason, time and again, is told once. */
	if (ordered || !job.repeated)
		pgha_agent_log("recovery (%s): %s", pgha_method_word(method), why);
	if (pgha_job_start(&conf, &order, &failed))
		memset(&not_begun, 0, sizeof(not_begun));
	else
	{
		pgha_agent_error("the recovery could not begin: %s", failed.message);
		not_begun = failed;
	}
	job_seen_running = true;
	look_at_job(pgha_clock_ms());
}

/* As long as it seems to be under way, whoever orders another one only joins it. */
static void
end_left_job(void)
{
	(void) snprintf(job.outcome, sizeof(job.outcome), "failed");
	(void) snprintf(job.sqlstate, sizeof(job.sqlstate), "55000");
	(void) snprintf(job.message, sizeof(job.message), "a recovery was interrupted, and is not begun again: %s", left_because);
	(void) snprintf(job.hint, sizeof(job.hint), "Order one with pgha_recover_node() on the primary.");
}

/* Before the next try, after so many that failed. */
static int64_t
pause_after(int failed)
{
	int64_t		pause = PAUSE_FIRST_MS;

	for (int i = 1; i < failed && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

/* Is the last job, or the one that runs, one that this node began while it led? */
static bool
is_leaders_job(void)
{
	return job.known && strcmp(job.leader, conf.members.member[conf.self].name) == 0;
}

/* Looks at the job's files; notices its end. */
static void
look_at_job(int64_t now)
{
	pid_t		pid;

	pgha_job_status(&conf, &job);
	pgha_text_clean(job.message);
	pgha_text_clean(job.detail);
	pgha_text_clean(job.hint);
	if (job.running != 0)
	{
		job_seen_running = true;
		return;
	}
	if (not_begun.known)
	{
		not_begun.data_ok = job.data_ok;
		not_begun.undecided = job.undecided || job.outcome[0] == '\0';
		job = not_begun;
	}
	if (job.known && job.order.id == left_job && job.outcome[0] == '\0')
		end_left_job();

	/* Looked at after the job's end was seen: what runs now was not stopped by it. */
	if (job.known && (!job.data_ok || job.stopped || job.was_stopped) && !not_begun.known &&
		pgha_server_look(&conf, &pid) == PGHA_SERVER_RUNNING && !pgha_job_server_runs(&conf))
		tell_once("the job file in the agent's directory cannot be written");
	if (!job_seen_running)
		return;
	job_seen_running = false;
	pgha_pgpool_soon();
	look_at = 0;
	look_at_server(now);

	/* A node that leads by now is another one to be asked. */
	undecided_at = own_is_primary() && !is_leaders_job() ? 0 : now;
	if (strcmp(job.outcome, "done") == 0)
		attempts = 0;
	else
		pause_until = now + pause_after(is_leaders_job() && !runs() ? 1 : ++attempts);
}

static void
take_order(PghaSession *session)
{
	PghaPoll   *poll = &session->poll;
	PghaMethod	method;

	if (poll->cancel && job.running > 0)
		pgha_job_cancel(&job);
	if (poll->order_id == 0)
		return;
	if (strcmp(poll->command, "list") == 0)
		pgha_lists_take(session, &options, job.running != 0);
	else if (conf.witness)
		return;					/* it writes lists, and touches no server */
	else if (strcmp(poll->command, "recover") == 0)
	{
		if (job.running != 0)
			return;				/* the next poll names that one, and whoever ordered waits for it */
		if (pgha_method_parse(poll->argument, &method) && session == &primary)
		{
			attempts = 0;
			told[0] = '\0';
			start_job(poll->order_id, method, true, session->member, "ordered on the primary");
		}
	}
	else if (session == &own)
	{
		session->acknowledge = poll->order_id;
		if (strcmp(poll->command, "stop-instance") == 0)
			(void) pgha_keeper_stop_instance(&conf, poll->order_id, poll->argument);
		else
			(void) pgha_control_server(&conf, poll->command, poll->argument);
	}
}

/* ---- by itself ---- */

/* Tells once what only an administrator can do. */
static void
tell_once(const char *text)
{
	if (strcmp(told, text) == 0)
		return;
	(void) snprintf(told, sizeof(told), "%s", text);
	pgha_agent_warning("%s", text);
}

/* May nothing begin by itself?  While it is not known whether failover is paused it may not. */
static bool
is_paused(void)
{
	if (runs() && own.answered)
		return own.poll.paused || (primary.answered && primary.poll.paused);
	switch (pgha_pause_while_down(&conf))
	{
		case PGHA_PAUSED_NO:
			return false;
		case PGHA_PAUSED_YES:
			if (server == PGHA_SERVER_CRASHED)
				tell_once("the server is not started, as failover is paused: order it with pgha_recover_node() on the"
						  " primary, or end the pause with pgha_resume(); where no member is up to be asked, start it by hand");
			return true;
		case PGHA_PAUSED_UNKNOWN:
			break;
	}
	if (server == PGHA_SERVER_CRASHED)
		tell_once("the server is not started before another member says that failover is not paused, as"
				  " pgha.state in the data directory does not say so: start it, or see that a member can be reached");
	return true;
}

/* Who has ordered the switchover wants it up again, paused or not. */
static void
start_after_handover(int64_t now)
{
	if (own.answered)
		starts = 0;
	if (starter > 0 || job.running != 0 || (starts > 0 && now < start_not_before) ||
		server != PGHA_SERVER_STOPPED || !pgha_has_handed_over(&conf))
		return;
	pgha_agent_log("the server has handed over the lead, and is started again as a standby");
	starter = pgha_control_server(&conf, "start", "standby");
	start_not_before = now + pause_after(++starts);
}

/* It may have taken long: the pause begins with its end. */
static bool
starter_ended(pid_t pid)
{
	if (starter <= 0 || pid != starter)
		return false;
	starter = 0;
	start_not_before = pgha_clock_ms() + pause_after(starts);
	return true;
}

/*
 * A crashed server is started soon if somebody leads.  Otherwise it may be the
 * primary whose failover has just begun: it must not come in between.
 */
static int64_t
time_before_start(int leader)
{
	if (leader != PGHA_NOBODY || conf.members.count < 2)
		return DOWN_BEFORE_START_MS;
	return DOWN_BEFORE_START_MS + 2 * (int64_t) conf.failure_timeout_ms;
}

/*
 * Has somebody stopped the server on purpose since the job's process died?  Not if
 * it was down already when he ordered the job.
 */
static bool
is_stopped_since(const PghaJobStatus *interrupted)
{
	return server == PGHA_SERVER_STOPPED && !interrupted->stopped &&
		!(interrupted->was_stopped && pgha_job_order_holds(&conf, interrupted, known_leader()));
}

static void
leave_job(const char *because)
{
	left_job = job.order.id;
	left_because = because;
	end_left_job();
	pgha_agent_warning("%s. %s", job.message, job.hint);
}

/* Has a recovery left a directory that it could not decide on, and is it time to ask again? */
static bool
is_undecided(int64_t now)
{
	return job.known && job.undecided && (undecided_at == 0 || now - undecided_at >= PAUSE_MAX_MS);
}

/*
 * Whoever leads is not to be recovered.  But it may have come to lead while a recovery
 * was interrupted, and what that has left is decided on all the same: it may be for
 * years that it leads.
 */
static void
end_recoveries(int64_t now)
{
	bool		interrupted = job.known && job.outcome[0] == '\0';

	if (!interrupted && !is_undecided(now))
		return;
	if (conf.auto_rejoin != PGHA_REJOIN_OFF && !is_paused())
		start_job(pgha_job_new_id(), PGHA_METHOD_START, false, conf.self, "this node leads, and a former recovery has not come to its end");
	else if (interrupted)
		leave_job(conf.auto_rejoin == PGHA_REJOIN_OFF ? "pgha.auto_rejoin = off" : "failover is paused");
}

static void
reconcile(int64_t now)
{
	PghaMethod	method = conf.auto_rejoin == PGHA_REJOIN_CLONE ? PGHA_METHOD_AUTO : PGHA_METHOD_REJOIN;
	int			leader = own_is_primary() && runs() ? conf.self : known_leader();
	bool		interrupted;
	bool		ordered;

	/* It leads anew when it comes back, and what failed while it led is no reason to wait. */
	if (leader_before == conf.self && !runs())
	{
		leader_before = PGHA_NOBODY;
		attempts = 0;
		pause_until = 0;
	}
	if (leader != PGHA_NOBODY && leader != leader_before)
	{
		leader_before = leader;
		attempts = 0;
		pause_until = undecided_at = 0;
	}

	/* It may be deleting for minutes, goes on later where it was, and must not keep the server down. */
	if (job.running > 0 && !runs() && is_leaders_job() && job.outcome[0] == '\0')
		(void) kill(job.running, SIGKILL);
	if (job.running != 0 || now < pause_until)
		return;
	if (leader == conf.self)
		end_recoveries(now);
	if (leader == conf.self || (own_is_primary() && server == PGHA_SERVER_UNKNOWN && job.known && job.outcome[0] == '\0'))
		return;

	/*
	 * Its process has died, with or without the agent before this one.  What is left of
	 * it the job decides; a server that somebody has stopped since stays stopped.  One
	 * of a node that led has not touched the server, and says nothing of one that is down.
	 */
	interrupted = job.known && job.outcome[0] == '\0' && !(is_leaders_job() && !runs());
	ordered = job.known && pgha_job_order_holds(&conf, &job, leader);
	if (interrupted && is_stopped_since(&job))
		tell_once("a recovery was interrupted, and the server was stopped since: start it, or order the recovery again");
	if (interrupted && !is_stopped_since(&job) &&
		(ordered || (conf.auto_rejoin != PGHA_REJOIN_OFF && !is_paused())))
	{
		/* Alone, a server that is down can at least be started. */
		if (leader != PGHA_NOBODY || (down_since != 0 && now - down_since > NO_LEADER_BEFORE_START_MS))
			start_job(job.order.id, job.order.method, ordered, leader, "an interrupted one is begun again");
		return;
	}
	if (interrupted && leader != PGHA_NOBODY)
		leave_job(is_stopped_since(&job) ? "the server was stopped on purpose" :
				  conf.auto_rejoin == PGHA_REJOIN_OFF ? "pgha.auto_rejoin = off" : "failover is paused");
	if (conf.auto_rejoin == PGHA_REJOIN_OFF || is_paused())
		return;

	if (server == PGHA_SERVER_MARKED || (!runs() && job.known && !job.data_ok))
	{
		if (method == PGHA_METHOD_AUTO && leader != PGHA_NOBODY)
			start_job(pgha_job_new_id(), method, false, leader, "the data directory is not whole");
		else if (method != PGHA_METHOD_AUTO)
			tell_once("the data directory is not whole, as a rewind or clone was interrupted: run"
					  " pgha_recover_node() with the method clone on the primary, or set pgha.auto_rejoin = clone");
	}
	else if (server == PGHA_SERVER_UNKNOWN && down_since != 0 && now - down_since > UNKNOWN_TOLD_AFTER_MS)
		tell_once(unknown_why);
	else if (server == PGHA_SERVER_CRASHED && now - down_since >= time_before_start(leader))
		start_job(pgha_job_new_id(), method, false, leader, "the server has crashed");
	else if (server == PGHA_SERVER_STOPPED && job.known && job.stopped)
		start_job(pgha_job_new_id(), method, false, leader, "the server was stopped for a recovery that has failed");
	else if (runs() && own.answered && leader != PGHA_NOBODY && strcmp(own.poll.state, "diverged") == 0)
		start_job(pgha_job_new_id(), method, false, leader, "the server's WAL has diverged from the primary's");
	else if (starting_since != 0 && leader != PGHA_NOBODY && now - starting_since >= STARTING_BEFORE_JOB_MS)
		start_job(pgha_job_new_id(), method, false, leader, "the server does not come up");
	else if (method == PGHA_METHOD_AUTO && leader != PGHA_NOBODY && not_streaming_since != 0 &&
			 now - not_streaming_since >= NO_STREAM_BEFORE_CLONE_MS)
		start_job(pgha_job_new_id(), method, false, leader, "the standby does not come to stream");
	else if (runs() && own.answered && leader != PGHA_NOBODY && is_undecided(now))
		start_job(pgha_job_new_id(), method, false, leader, "a former one has left a directory to be decided on");
}

/* ---- the address that follows the primary ---- */

/*
 * Does the own server lead?  A server that is silent may be leading: then only
 * another primary is proof that it does not.
 */
static PghaLead
lead(void)
{
	static const char *const others[] = {"standby", "candidate", "diverged", "fencing", "passive"};

	if (!may_run())
		return PGHA_LEAD_NO;
	if (!own.answered)
		return known_leader() != PGHA_NOBODY ? PGHA_LEAD_NO : PGHA_LEAD_UNKNOWN;
	if (strcmp(own.poll.state, "promoting") == 0 || own_is_primary())
		return PGHA_LEAD_YES;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
	{
		if (strcmp(own.poll.state, others[i]) == 0)
			return PGHA_LEAD_NO;
	}
	return PGHA_LEAD_UNKNOWN;
}

static void
tend_address(void)
{
	static bool answered = false;

	pgha_keeper_tend(&conf);
	pgha_keeper_tell(lead(), own.answer_asked_at);
	if (own.answered && !answered)
		pgha_keeper_tell_again();
	answered = own.answered;
}

static void
reap(void)
{
	pid_t		pid;
	int			status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
	{
		if (!starter_ended(pid) && !pgha_keeper_ended(pid) && !pgha_lists_ended(pid) && !pgha_notify_ended(pid) &&
			!pgha_web_ended(pid))
			pgha_pgpool_ended(pid, status);
	}
}

/* ---- the loop ---- */

static void
wait_for_something(void)
{
	struct pollfd set[3];
	char		drain[64];
	PghaSession *sessions[] = {&own, &primary};

	set[0].fd = wake_pipe[0];
	set[0].events = POLLIN;
	for (int i = 0; i < 2; i++)
		set[i + 1].fd = pgha_session_socket(sessions[i], &set[i + 1].events);

	/* A session that is ready has nothing to wait for. */
	(void) poll(set, 3, pgha_service_wait_ms(LOOK_EVERY_MS));
	while (read(wake_pipe[0], drain, sizeof(drain)) > 0)
		;
}

static void
tell_service(int64_t now)
{
	PghaServiceView view = {&conf, own.answered ? &own.poll : NULL, server, known_leader(), &job};

	pgha_service_tend(&view, now);
}

static void
advance(PghaSession *session)
{
	if (pgha_session_advance(session))
	{
		pgha_pause_heard(session->poll.paused, session->poll.pause_generation);
		take_order(session);

		/* Not the primary: the next one is tried, after a while. */
		if (session == &primary && known_leader() == PGHA_NOBODY)
		{
			session->retry_at = pgha_clock_ms() + 300;
			session->failures = 1;
			pgha_session_close(session);
		}
	}
	if (session->state == PGHA_SESSION_READY && !pgha_lists_tell(session))
	{
		/* The keeper wants fresh news. */
		bool		often = session == &own && conf.address[0] != '\0';
		int			wait_ms = pgha_lists_busy() ? LIST_POLL_MS : job.running != 0 ? JOB_POLL_MS : often ? conf.failure_timeout_ms / 3 : IDLE_POLL_MS;

		pgha_session_poll(session, &conf, server, &job, wait_ms < IDLE_POLL_MS ? wait_ms : IDLE_POLL_MS,
						  often && conf.failure_timeout_ms < ANSWER_LIMIT_MS ? conf.failure_timeout_ms : ANSWER_LIMIT_MS);
	}
}

static void
run_agent(void)
{
	while (!told_to_end)
	{
		int64_t		now = pgha_clock_ms();

		reload(now);
		reap();
		look_at_server(now);
		look_at_job(now);
		tend_sessions(now);
		advance(&own);
		advance(&primary);
		if (!conf.witness)
		{
			tend_address();
			pgha_web_tend(&conf, server, own.answered ? own.poll.state : "", own.poll.leader);
			start_after_handover(now);
			reconcile(now);
			pgha_pgpool_tend(&conf, own_is_primary(), now);
			pgha_notify_tend(&conf, now);
		}
		else
			pgha_web_witness(&conf);
		tell_service(now);
		wait_for_something();
	}
	pgha_service_ends();
	pgha_session_close(&own);
	pgha_session_close(&primary);
	pgha_agent_log(job.running != 0 ? "ends; the recovery under way goes on" : "ends");
}

/* ---- start ---- */

/* An outcome that nobody waits for any more is not told. */
static void
forget_old_outcome(void)
{
	char		path[PATH_MAX + 32];
	struct stat st;

	look_at_job(pgha_clock_ms());
	(void) snprintf(path, sizeof(path), "%s/job", conf.directory);
	if (job.known && job.outcome[0] != '\0' && stat(path, &st) == 0 && time(NULL) - st.st_mtime > FRESH_OUTCOME_S)
		own.told_job = primary.told_job = job.order.id;
}

int
pgha_agent_main(int argc, char **argv)
{
	int			code = pgha_agent_options(argc, argv, &options);

	if (code != EXIT_OK)
		return code;
	if (options.check)
		return pgha_agent_conf_check(&options);
	if (!pgha_agent_conf_first(&options, &conf))
		return EXIT_USAGE;
	if (!pgha_agent_may_run(&conf))
		return EXIT_ERROR;
	if (!set_up_signals())
	{
		pgha_error(stderr, NULL, "could not create a pipe: %s", strerror(errno));
		return EXIT_ERROR;
	}
	(void) setvbuf(stderr, NULL, _IOLBF, 0);

	/*
	 * A killed postmaster that nobody reaps holds its lock files for ever; not
	 * every container has an init process.  What a job starts becomes our child.
	 */
	(void) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

	/* What an address needs is for this program and its forks, not for what they run. */
	(void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

	pgha_agent_options_resolve(&options, &conf);
	pgha_agent_log_setup(conf.log_json, conf.members.member[conf.self].name);
	if (chdir(conf.directory) != 0)
	{
		pgha_error(stderr, NULL, "could not change to directory \"%s\": %s", conf.directory, strerror(errno));
		return EXIT_ERROR;
	}
	pgha_agent_log("version %s, node \"%s\", data directory \"%s\"", PGHA_VERSION,
				   conf.members.member[conf.self].name, conf.data);
	forget_old_outcome();
	run_agent();
	pgha_agent_conf_free(&conf);
	return EXIT_OK;
}
