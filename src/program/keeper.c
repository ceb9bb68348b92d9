/*
 * keeper.c
 *		The process beside the agent that keeps pgha.address where the primary is.
 *
 * Moving an address can take seconds, and the agent never blocks.  So one child
 * of it does that, in sequential code.  It knows the metadata and credentials
 * that EC2 wants ahead of need, so that a failover costs one request.  The agent
 * tells it through shared memory whether the own server leads, and wakes it
 * through a pipe; what the keeper finds out it tells the own server by
 * pgha_agent_host(), where pgha_cluster() shows it.
 *
 * The address is taken while the server is still being promoted, and asked for
 * every few seconds from then on.  It is only taken, or taken back, on news of
 * leadership that is not older than pgha.failure_timeout: a host that was frozen
 * must not take it away from the new primary when it wakes.  It is given up as
 * soon as the own server is known not to lead; silence alone is no reason.
 *
 * The keeper ends when its pipe is closed, that is, with the agent.  It leaves
 * the address where it is then: restarting the agent must not matter to clients.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../net/address.h"
#include "../net/address_ec2.h"
#include "agent.h"
#include "extension.h"
#include "job_run.h"
#include "session.h"

#define TAKE_LIMIT_MS		10000	/* then it is tried again */
#define CHECK_EVERY_MS		3000
#define PREPARE_EVERY_MS	10000	/* cheap while nothing has expired */
#define TELL_AGAIN_MS		5000
#define RETRY_FIRST_MS		500
#define RETRY_MAX_MS		10000

/* What agent and keeper share. */
typedef struct Shared
{
	_Atomic int lead;			/* PghaLead */
	_Atomic int64_t confirmed;	/* when the server was asked that last said that it leads */
	_Atomic int news;			/* changes when the server must be told again */
	_Atomic bool retire;		/* other settings hold now: the address is to be given up at the end */
} Shared;

/* What a keeper goes by as long as it runs. */
typedef struct Settings
{
	char		address[PGHA_ADDRESS_TEXT_SIZE];
	char		ec2_endpoint[PGHA_ENDPOINT_SIZE];
	char		imds_endpoint[PGHA_ENDPOINT_SIZE];
	bool		fence_by_ec2;
	int			failure_timeout_ms;
	char		conninfo[PGHA_CONNINFO_SIZE];
	PghaAddress self;
} Settings;

/* In the agent. */
static Shared *shared = NULL;
static pid_t keeper_pid = 0;
static int	wake_fd = -1;
static int64_t start_at = 0;	/* not before this time */
static Settings in_force;		/* of the keeper that runs */

/* ---- what the keeper says ---- */

typedef struct Keeper
{
	const PghaAgentConf *conf;
	PghaVip    *vip;
	int			wake;			/* pipe from the agent */
	bool		held;
	bool		given_up;		/* since the own server last led */
	int64_t		due;			/* when to check, or to try again */
	int64_t		prepare_at;
	int64_t		tell_at;		/* when to tell the server again, if it could not be told */
	int			failures;		/* in a row */
	char		instance[64];	/* empty: not on EC2, or not known yet */
	char		state[700];
	bool		told;			/* the server knows instance and state */
	int			news;			/* Shared.news when it was told */
	char		complaint[600]; /* last one logged */
} Keeper;

/* Calls a function of the extension on the own server; false if that failed. */
static bool
call_own_server(const PghaAgentConf *conf, const char *function, int count, const char *const *values)
{
	char		error[512];
	char		query[512];
	PGconn	   *conn = pgha_job_connect(conf, conf->self, NULL, error, sizeof(error));
	PGresult   *result;
	char	   *schema;
	bool		done = false;

	if (conn == NULL)
		return false;
	schema = pgha_job_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
	if (schema != NULL && *schema != '\0')
	{
		(void) snprintf(query, sizeof(query), "SELECT %s.%s", schema, function);
		result = PQexecParams(conn, query, count, NULL, values, NULL, NULL, 0);
		done = PQresultStatus(result) == PGRES_TUPLES_OK;
		PQclear(result);
	}
	free(schema);
	PQfinish(conn);
	return done;
}

static void
set_state(Keeper *keeper, const char *state, const char *error)
{
	char		text[sizeof(keeper->state)];

	(void) snprintf(text, sizeof(text), "%s%s%s", state, error != NULL ? ": " : "", error != NULL ? error : "");
	if (strcmp(text, keeper->state) == 0)
		return;
	(void) snprintf(keeper->state, sizeof(keeper->state), "%s", text);
	keeper->told = false;
	keeper->tell_at = 0;
}

/* Tells the own server, which may be down or not accept connections yet: then again later. */
static void
tell_server(Keeper *keeper, int64_t now)
{
	const char *const values[] = {
		keeper->conf->members.member[keeper->conf->self].name, keeper->instance, keeper->state
	};

	if (keeper->news != atomic_load(&shared->news))
	{
		keeper->news = atomic_load(&shared->news);
		keeper->told = false;
		keeper->tell_at = 0;
	}
	if (keeper->told || now < keeper->tell_at)
		return;
	keeper->told = call_own_server(keeper->conf, "pgha_agent_host($1, $2, $3)", 3, values);
	keeper->tell_at = now + TELL_AGAIN_MS;
}

/* Writes an event that is worth remembering; the log has it anyhow. */
static void
tell_event(Keeper *keeper, const char *what)
{
	const char *const values[] = {"address", what};

	pgha_agent_log("%s", what);
	(void) call_own_server(keeper->conf, "pgha_agent_event($1, $2)", 2, values);
}

/* A line in the log, unless it is the last one again. */
static void
complain(Keeper *keeper, const char *what, const char *error)
{
	if (strcmp(keeper->complaint, error) == 0)
		return;
	(void) snprintf(keeper->complaint, sizeof(keeper->complaint), "%s", error);
	pgha_agent_log("address %s: %s: %s", keeper->conf->address, what, error);
}

/* ---- what the keeper does ---- */

static PghaLead
lead_now(void)
{
	return (PghaLead) atomic_load(&shared->lead);
}

/* Is it certain enough that the own server leads?  Asked before each step of taking the address. */
static bool
still_leader(void *arg)
{
	const Keeper *keeper = arg;

	return lead_now() == PGHA_LEAD_YES &&
		pgha_session_clock() - atomic_load(&shared->confirmed) <= keeper->conf->failure_timeout_ms;
}

static void
take(Keeper *keeper)
{
	PghaTake	how = {.limit_ms = TAKE_LIMIT_MS, .still_leader = still_leader, .arg = keeper};
	int64_t		start = pgha_session_clock();
	char		error[512] = "";
	char		what[300];
	int			pause = RETRY_FIRST_MS;

	keeper->given_up = false;
	if (pgha_address_take(keeper->vip, &how, error, sizeof(error)))
	{
		keeper->held = true;
		keeper->failures = 0;
		keeper->complaint[0] = '\0';
		set_state(keeper, "held", NULL);
		(void) snprintf(what, sizeof(what), "address %.200s taken in %lld ms", keeper->conf->address,
						(long long) (pgha_session_clock() - start));
		tell_event(keeper, what);
		(void) pgha_address_announce(keeper->vip, still_leader, keeper, error, sizeof(error));
		keeper->due = pgha_session_clock() + CHECK_EVERY_MS;
		return;
	}
	if (!still_leader(keeper))
	{
		keeper->due = 0;
		return;
	}
	set_state(keeper, "error", error);
	complain(keeper, "could not be taken, is tried again", error);
	for (int i = 0; i < keeper->failures && pause < RETRY_MAX_MS; i++)
		pause *= 2;
	keeper->failures++;
	keeper->due = pgha_session_clock() + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
}

/* Is it still here?  One that could not be asked about is left alone. */
static void
check(Keeper *keeper)
{
	char		error[512] = "";

	keeper->due = pgha_session_clock() + CHECK_EVERY_MS;
	switch (pgha_address_check(keeper->vip, error, sizeof(error)))
	{
		case PGHA_HELD:
			keeper->complaint[0] = '\0';
			set_state(keeper, "held", NULL);
			break;
		case PGHA_NOT_HELD:
			set_state(keeper, "lost", error);
			complain(keeper, "has been lost, is taken again", error);
			keeper->held = false;
			keeper->due = 0;
			break;
		case PGHA_HOLDER_UNKNOWN:
			complain(keeper, "could not be asked about", error);
			break;
	}
}

static void
give_up(Keeper *keeper)
{
	char		error[512] = "";

	if (pgha_address_release(keeper->vip, error, sizeof(error)))
	{
		if (keeper->held)
			pgha_agent_log("address %s given up", keeper->conf->address);
		keeper->held = false;
		keeper->given_up = true;
		keeper->failures = 0;
		keeper->complaint[0] = '\0';
		set_state(keeper, "not held", NULL);
		return;
	}
	complain(keeper, "could not be given up, is tried again", error);
	set_state(keeper, "error", error);
	keeper->due = pgha_session_clock() + RETRY_MAX_MS;
}

static void
prepare(Keeper *keeper, PghaEc2 *ec2)
{
	char		error[512] = "";

	keeper->prepare_at = pgha_session_clock() + PREPARE_EVERY_MS;
	if (ec2 != NULL && keeper->instance[0] == '\0' &&
		pgha_ec2_instance(ec2, keeper->instance, sizeof(keeper->instance), error, sizeof(error)))
		keeper->told = false;

	/* While it is being taken, that says what is wrong. */
	if (keeper->vip == NULL || (lead_now() == PGHA_LEAD_YES && !keeper->held))
		return;
	if (!pgha_address_prepare(keeper->vip, error, sizeof(error)))
	{
		complain(keeper, "could not be taken now", error);
		if (!keeper->held)
			set_state(keeper, "error", error);
	}
	else if (!keeper->held)
	{
		keeper->complaint[0] = '\0';
		set_state(keeper, "not held", NULL);
	}
}

/* One round: first what cannot wait. */
static void
go_round(Keeper *keeper, PghaEc2 *ec2)
{
	int64_t		now = pgha_session_clock();

	if (keeper->vip != NULL)
	{
		PghaLead	lead = lead_now();

		if (lead == PGHA_LEAD_YES && !keeper->held && now >= keeper->due && still_leader(keeper))
			take(keeper);
		else if (lead == PGHA_LEAD_YES && keeper->held && now >= keeper->due)
			check(keeper);
		else if (lead == PGHA_LEAD_NO && !keeper->given_up && now >= keeper->due)
			give_up(keeper);
	}
	if (pgha_session_clock() >= keeper->prepare_at)
		prepare(keeper, ec2);
	tell_server(keeper, pgha_session_clock());
}

/* Sleeps until there is something to do; false when the agent has gone. */
static bool
wait_for_agent(Keeper *keeper)
{
	struct pollfd set = {.fd = keeper->wake, .events = POLLIN};
	int64_t		now = pgha_session_clock();
	int64_t		next = keeper->prepare_at;
	char		drain[64];
	ssize_t		length;
	static PghaLead before = PGHA_LEAD_UNKNOWN;
	PghaLead	lead = lead_now();

	/* News that came while it was busy must not wait for the end of a pause. */
	if (lead != before)
		keeper->due = 0;
	before = lead;
	if ((lead == PGHA_LEAD_YES || (lead == PGHA_LEAD_NO && !keeper->given_up)) && keeper->due < next)
		next = keeper->due;
	if (!keeper->told && keeper->tell_at < next)
		next = keeper->tell_at;
	if (next < now + 10)
		next = now + 10;
	if (poll(&set, 1, (int) (next - now)) <= 0)
		return true;
	length = read(keeper->wake, drain, sizeof(drain));
	if (lead_now() != before)
		keeper->due = 0;
	before = lead_now();
	return length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN));
}

static void
init_ec2_options(const PghaAgentConf *conf, PghaEc2Options *options)
{
	memset(options, 0, sizeof(*options));
	options->endpoint = conf->ec2_endpoint;
	options->imds_endpoint = conf->imds_endpoint;
	options->region = "";
	options->profile = "";
	options->log = pgha_agent_log;
}

static bool
needs_ec2(const PghaAgentConf *conf)
{
	return conf->fence_by_ec2 ||
		(conf->address_spec.kind != PGHA_ADDRESS_NONE && conf->address_spec.kind != PGHA_ADDRESS_LOCAL);
}

static void
run_keeper(const PghaAgentConf *conf, int wake)
{
	Keeper		keeper = {.conf = conf, .wake = wake};
	PghaEc2Options options;
	PghaEc2    *ec2 = NULL;

	init_ec2_options(conf, &options);
	if (needs_ec2(conf))
		ec2 = pgha_ec2_new(&options);
	if (conf->address_spec.kind != PGHA_ADDRESS_NONE)
		keeper.vip = pgha_address_open(&conf->address_spec, &options);
	set_state(&keeper, conf->address_spec.kind != PGHA_ADDRESS_NONE ? "not held" : "", NULL);
	do
		go_round(&keeper, ec2);
	while (wait_for_agent(&keeper));
	if (atomic_load(&shared->retire) && keeper.vip != NULL)
		give_up(&keeper);
	_exit(0);
}

/* ---- in the agent ---- */

/* A child of the agent begins: none of its descriptors but `keep`, its signals as usual. */
static void
become_child(int keep)
{
	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
	{
		if (fd != keep)
			(void) close(fd);
	}
	for (int i = 1; i < NSIG; i++)
		(void) signal(i, SIG_DFL);
	(void) signal(SIGPIPE, SIG_IGN);
}

static void
start_keeper(const PghaAgentConf *conf)
{
	int			ends[2];

	if (shared == NULL)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
	{
		pgha_agent_log("could not start the address keeper: %s", strerror(errno));
		shared = shared == MAP_FAILED ? NULL : shared;
		return;
	}
	atomic_store(&shared->retire, false);
	(void) fflush(NULL);
	keeper_pid = fork();
	if (keeper_pid == 0)
	{
		become_child(ends[0]);
		run_keeper(conf, ends[0]);
	}
	(void) close(ends[0]);
	if (keeper_pid > 0)
	{
		wake_fd = ends[1];
		return;
	}
	pgha_agent_log("could not start the address keeper: %s", strerror(errno));
	keeper_pid = 0;
	(void) close(ends[1]);
}

static void
take_settings(const PghaAgentConf *conf, Settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	memcpy(settings->address, conf->address, sizeof(settings->address));
	memcpy(settings->ec2_endpoint, conf->ec2_endpoint, sizeof(settings->ec2_endpoint));
	memcpy(settings->imds_endpoint, conf->imds_endpoint, sizeof(settings->imds_endpoint));
	settings->fence_by_ec2 = conf->fence_by_ec2;
	settings->failure_timeout_ms = conf->failure_timeout_ms;
	memcpy(settings->conninfo, conf->conninfo, sizeof(settings->conninfo));
	settings->self = conf->members.member[conf->self];
}

void
pgha_keeper_tend(const PghaAgentConf *conf)
{
	Settings	wanted;

	take_settings(conf, &wanted);
	if (keeper_pid != 0 && wake_fd >= 0 && memcmp(&wanted, &in_force, sizeof(wanted)) != 0)
	{
		/* It ends when it is done with what it is doing, and is started anew then. */
		atomic_store(&shared->retire, strcmp(wanted.address, in_force.address) != 0);
		(void) close(wake_fd);
		wake_fd = -1;
	}
	if (keeper_pid != 0 || (conf->address[0] == '\0' && !conf->fence_by_ec2) || pgha_session_clock() < start_at)
		return;
	in_force = wanted;
	start_at = pgha_session_clock() + 1000;
	start_keeper(conf);
}

/* The keeper looks at what has changed. */
static void
wake_keeper(void)
{
	if (wake_fd >= 0 && write(wake_fd, "", 1) < 0)
	{
		/* The pipe is full: it will wake up. */
	}
}

void
pgha_keeper_tell(PghaLead lead, int64_t asked_at)
{
	if (keeper_pid == 0 || shared == NULL)
		return;
	atomic_store(&shared->confirmed, asked_at);
	if (atomic_exchange(&shared->lead, (int) lead) != (int) lead)
		wake_keeper();
}

void
pgha_keeper_tell_again(void)
{
	if (keeper_pid == 0 || shared == NULL)
		return;
	(void) atomic_fetch_add(&shared->news, 1);
	wake_keeper();
}

bool
pgha_keeper_ended(pid_t pid)
{
	if (pid != keeper_pid)
		return false;
	keeper_pid = 0;
	if (wake_fd >= 0)
		(void) close(wake_fd);
	wake_fd = -1;
	return true;
}

/* In a process of its own. */
static void
stop_instance(const PghaAgentConf *conf, int64_t order_id, const char *instance_id)
{
	PghaEc2Options options;
	PghaEc2    *ec2;
	char		error[512] = "out of memory";
	char		id[32];
	bool		stopped = false;
	const char *outcome[] = {id, "false", error};

	init_ec2_options(conf, &options);
	ec2 = pgha_ec2_new(&options);
	pgha_agent_log("stopping EC2 instance \"%s\"", instance_id);
	if (ec2 != NULL)
		stopped = pgha_ec2_stop_instance(ec2, instance_id, conf->fence_timeout_ms, error, sizeof(error));
	if (stopped)
	{
		error[0] = '\0';
		pgha_agent_log("EC2 instance \"%s\" is stopped", instance_id);
	}
	else
		pgha_agent_log("EC2 instance \"%s\" could not be stopped: %s", instance_id, error);
	(void) snprintf(id, sizeof(id), "%lld", (long long) order_id);
	if (stopped)
		outcome[1] = "true";
	for (int i = 0; i < 5 && !call_own_server(conf, "pgha_agent_done($1::bigint, $2::boolean, $3)", 3, outcome); i++)
		(void) poll(NULL, 0, 500);
	_exit(stopped ? 0 : 1);
}

bool
pgha_keeper_stop_instance(const PghaAgentConf *conf, int64_t order_id, const char *instance_id)
{
	pid_t		pid;

	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		become_child(-1);
		stop_instance(conf, order_id, instance_id);
	}
	if (pid < 0)
		pgha_agent_log("could not start a process: %s", strerror(errno));
	return pid > 0;
}
