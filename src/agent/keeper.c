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
 * must not take it away from the new primary when it wakes; and one that was lost is
 * taken back only on news of after the loss.  A request that was
 * under way then may still be carried out; the new primary finds that out when it
 * next asks for the address, and takes it back.  It is given up as soon as the
 * own server is known not to lead; silence alone is no reason.
 *
 * Credentials are in the memory of this process and of no other one of the agent:
 * so it leaves no core.
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
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/clock.h"
#include "../common/log.h"
#include "../net/address.h"
#include "../net/address_ec2.h"
#include "../net/ec2_stop.h"
#include "tell.h"

#define TAKE_LIMIT_MS		10000	/* then it is tried again */
#define CHECK_EVERY_MS		3000
#define PREPARE_EVERY_MS	10000	/* cheap while nothing has expired */
#define LOSS_PAUSE_MAX_MS	60000
#define STEADY_MS			300000
#define ANNOUNCE_EVERY_MS	60000
#define TELL_AGAIN_MS		5000
#define TELL_REFUSED_MS		30000	/* only an administrator can mend that */
#define RETRY_FIRST_MS		500
#define RETRY_MAX_MS		10000
#define STALE_PAUSE_MS		100		/* until there may be fresher news of leadership */

/* An outcome is told for so long after the order's own limit. */
#define OUTCOME_LIMIT_MS	60000
#define OUTCOME_PAUSE_MS	500

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
	bool		ec2_insecure;
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
static pid_t stopper_pid = 0;	/* process that stops an instance */
static int64_t stopper_order = 0;	/* what it was ordered by */

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
	int			losses;			/* of the address, to somebody else, in a row */
	int64_t		lost_at;		/* when that was last found out */
	int64_t		steady_at;		/* when it counts as ours for good, if it is not lost before */
	int64_t		announce_at;	/* kind local: when neighbours are told again */
	char		instance[64];	/* empty: not on EC2, or not known yet */
	char		state[700];
	bool		state_known;	/* since the keeper has started */
	bool		told;			/* the server knows instance and state */
	int			news;			/* Shared.news when it was told */
	char		complaint[600]; /* last one logged */
	char		refusal[600];	/* of the own server; last one logged */
} Keeper;

static void
set_state(Keeper *keeper, const char *state, const char *error)
{
	char		text[sizeof(keeper->state)];

	(void) snprintf(text, sizeof(text), "%s%s%s", state, error != NULL ? ": " : "", error != NULL ? error : "");
	if (keeper->state_known && strcmp(text, keeper->state) == 0)
		return;
	keeper->state_known = true;
	(void) snprintf(keeper->state, sizeof(keeper->state), "%s", text);
	keeper->told = false;
	keeper->tell_at = 0;
}

/* A line in the log, unless it is the last one again. */
static void
complain(Keeper *keeper, const char *what, const char *error)
{
	if (strcmp(keeper->complaint, error) == 0)
		return;
	(void) snprintf(keeper->complaint, sizeof(keeper->complaint), "%s", error);
	pgha_agent_warning("address %s: %s: %s", keeper->conf->address, what, error);
}

/* The same for what the own server refuses. */
static void
complain_of_server(Keeper *keeper, const char *error)
{
	if (strcmp(keeper->refusal, error) == 0)
		return;
	(void) snprintf(keeper->refusal, sizeof(keeper->refusal), "%s", error);
	pgha_agent_warning("own server: %s", error);
}

/*
 * Tells the own server, which may be down or not accept connections yet: then
 * again later.  What is not known is null, which leaves alone what it was told.
 */
static void
tell_server(Keeper *keeper, int64_t now)
{
	const char *const values[] = {
		keeper->conf->members.member[keeper->conf->self].name,
		keeper->instance[0] != '\0' ? keeper->instance : NULL,
		keeper->state_known ? keeper->state : NULL
	};
	char		error[512];
	PghaTold	told;

	if (keeper->news != atomic_load(&shared->news))
	{
		keeper->news = atomic_load(&shared->news);
		keeper->told = false;
		keeper->tell_at = 0;
	}
	if (keeper->told || now < keeper->tell_at)
		return;
	told = pgha_tell_own_server(keeper->conf, "pgha_agent_host($1, $2, $3)", 3, values, error, sizeof(error));
	keeper->told = told == PGHA_TOLD;
	keeper->tell_at = pgha_clock_ms() + (told == PGHA_TOLD_OFF ? TELL_REFUSED_MS : TELL_AGAIN_MS);
	if (told == PGHA_TOLD)
		keeper->refusal[0] = '\0';
	else if (told == PGHA_TOLD_OFF)
		complain_of_server(keeper, error);
}

/* Writes an event that is worth remembering; the log has it anyhow. */
static void
tell_event(Keeper *keeper, const char *kind, const char *what)
{
	const char *const values[] = {kind, what};
	char		error[512];

	if (pgha_tell_own_server(keeper->conf, "pgha_agent_event($1, $2)", 2, values, error, sizeof(error)) == PGHA_TOLD_OFF)
		complain_of_server(keeper, error);
}

/* ---- what the keeper does ---- */

static PghaLead
lead_now(void)
{
	return (PghaLead) atomic_load(&shared->lead);
}

/*
 * Is it certain enough that the own server leads?  Asked before each step of taking
 * the address.  Whoever has taken it away may be the new primary, after a crash here
 * of which the agent has not heard yet: then only an answer of later on counts.
 */
static bool
still_leader(void *arg)
{
	const Keeper *keeper = arg;
	int64_t		confirmed = atomic_load(&shared->confirmed);

	return lead_now() == PGHA_LEAD_YES && confirmed > keeper->lost_at &&
		pgha_clock_ms() - confirmed <= keeper->conf->failure_timeout_ms;
}

/* When to try again what has failed: later each time. */
static int64_t
next_try(Keeper *keeper)
{
	int			pause = RETRY_FIRST_MS;

	for (int i = 0; i < keeper->failures && pause < RETRY_MAX_MS; i++)
		pause *= 2;
	keeper->failures++;
	return pgha_clock_ms() + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
}

static void
take(Keeper *keeper)
{
	PghaTake	how = {.limit_ms = TAKE_LIMIT_MS, .still_leader = still_leader, .arg = keeper};
	int64_t		start = pgha_clock_ms();
	char		error[512] = "";
	char		what[400];

	keeper->given_up = false;
	if (pgha_address_take(keeper->vip, &how, error, sizeof(error)))
	{
		keeper->held = true;
		keeper->failures = 0;
		keeper->steady_at = pgha_clock_ms() + STEADY_MS;
		keeper->announce_at = pgha_clock_ms() + ANNOUNCE_EVERY_MS;
		keeper->complaint[0] = '\0';
		set_state(keeper, "held", NULL);
		(void) snprintf(what, sizeof(what), "address %.200s taken in %lld ms", keeper->conf->address,
						(long long) (pgha_clock_ms() - start));
		(void) pgha_address_announce(keeper->vip, still_leader, keeper, error, sizeof(error));
		pgha_agent_log("%s", what);
		tell_event(keeper, "address", what);
		keeper->due = pgha_clock_ms() + CHECK_EVERY_MS;
		return;
	}
	if (!still_leader(keeper))
	{
		keeper->due = pgha_clock_ms() + STALE_PAUSE_MS;
		return;
	}
	set_state(keeper, "error", error);
	complain(keeper, "could not be taken, is tried again", error);
	if (keeper->failures == 0)
	{
		(void) snprintf(what, sizeof(what), "address %.200s could not be taken: %.80s", keeper->conf->address, error);
		tell_event(keeper, "address_lost", what);
	}
	keeper->due = next_try(keeper);
}

/*
 * Is it still here?  One that could not be asked about is left alone.  One that
 * was lost is taken again at once; if it is lost again and again, another node
 * leads too, and each leaves it to the other for longer and longer.
 */
static void
check(Keeper *keeper)
{
	char		error[512] = "";
	int64_t		now = pgha_clock_ms();

	keeper->due = now + CHECK_EVERY_MS;
	switch (pgha_address_check(keeper->vip, error, sizeof(error)))
	{
		case PGHA_HELD:
			keeper->complaint[0] = '\0';
			set_state(keeper, "held", NULL);
			if (now >= keeper->steady_at)
				keeper->losses = 0;
			if (keeper->conf->address_spec.kind == PGHA_ADDRESS_LOCAL && now >= keeper->announce_at)
			{
				/* Some may have learnt of another holder while the network was broken. */
				keeper->announce_at = now + ANNOUNCE_EVERY_MS;
				(void) pgha_address_announce(keeper->vip, still_leader, keeper, error, sizeof(error));
			}
			break;
		case PGHA_NOT_HELD:
			set_state(keeper, "lost", error);
			complain(keeper, "has been lost, is taken again", error);
			keeper->held = false;
			keeper->lost_at = pgha_clock_ms();
			keeper->due = now;
			for (int i = 0; i < keeper->losses && keeper->due - now < LOSS_PAUSE_MAX_MS; i++)
				keeper->due += keeper->due == now ? CHECK_EVERY_MS : keeper->due - now;
			keeper->losses++;
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
		/* Where there was nothing to do, what it cannot do has not changed either. */
		if (keeper->held || keeper->failures > 0)
			keeper->complaint[0] = '\0';
		if (keeper->held)
			pgha_agent_log("address %s given up", keeper->conf->address);
		keeper->held = false;
		keeper->given_up = true;
		keeper->failures = keeper->losses = 0;
		set_state(keeper, "not held", NULL);
		return;
	}
	complain(keeper, "could not be given up, is tried again", error);
	set_state(keeper, "error", error);
	keeper->due = next_try(keeper);
}

static void
prepare(Keeper *keeper, PghaEc2 *ec2)
{
	char		error[512] = "";

	keeper->prepare_at = pgha_clock_ms() + PREPARE_EVERY_MS;
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
	else if (!keeper->held && (lead_now() == PGHA_LEAD_NO || keeper->state_known))
	{
		keeper->complaint[0] = '\0';
		set_state(keeper, "not held", NULL);
	}
}

/* One round: first what cannot wait. */
static void
go_round(Keeper *keeper, PghaEc2 *ec2)
{
	int64_t		now = pgha_clock_ms();

	if (keeper->vip != NULL)
	{
		PghaLead	lead = lead_now();

		if (lead == PGHA_LEAD_YES && !keeper->held && now >= keeper->due)
		{
			if (still_leader(keeper))
				take(keeper);
			else
				keeper->due = now + STALE_PAUSE_MS;
		}
		else if (lead == PGHA_LEAD_YES && keeper->held && now >= keeper->due)
			check(keeper);
		else if (lead == PGHA_LEAD_NO && !keeper->given_up && now >= keeper->due)
			give_up(keeper);
	}
	if (pgha_clock_ms() >= keeper->prepare_at)
		prepare(keeper, ec2);
	tell_server(keeper, pgha_clock_ms());
}

/* Sleeps until there is something to do; false when the agent has gone. */
static bool
wait_for_agent(Keeper *keeper)
{
	struct pollfd set = {.fd = keeper->wake, .events = POLLIN};
	int64_t		now = pgha_clock_ms();
	int64_t		next = keeper->prepare_at;
	char		drain[64];
	ssize_t		length;
	static PghaLead before = PGHA_LEAD_UNKNOWN;
	PghaLead	lead = lead_now();

	/* News that came while it was busy must not wait for the end of a pause. */
	if (lead != before)
		keeper->due = keeper->failures = 0;
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
		keeper->due = keeper->failures = 0;
	before = lead_now();
	return length > 0 || (length < 0 && (errno == EINTR || errno == EAGAIN));
}

static void
init_ec2_options(const PghaAgentConf *conf, PghaEc2Options *options)
{
	memset(options, 0, sizeof(*options));
	options->endpoint = conf->ec2_endpoint;
	options->imds_endpoint = conf->imds_endpoint;
	options->insecure = conf->ec2_insecure;
	options->region = "";
	options->profile = "";
	options->log = pgha_agent_warning;
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

	pgha_agent_log_process("address");
	init_ec2_options(conf, &options);
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (needs_ec2(conf))
		ec2 = pgha_ec2_new(&options);
	if (conf->address_spec.kind != PGHA_ADDRESS_NONE)
		keeper.vip = pgha_address_open(&conf->address_spec, &options);
	else
		set_state(&keeper, "", NULL);
	do
		go_round(&keeper, ec2);
	while (wait_for_agent(&keeper));
	if (atomic_load(&shared->retire) && keeper.vip != NULL)
	{
		/* The next keeper, if there is one, says more. */
		give_up(&keeper);
		set_state(&keeper, "", NULL);
		tell_server(&keeper, pgha_clock_ms());
	}
	_exit(0);
}

/* ---- in the agent ---- */

static void
start_keeper(const PghaAgentConf *conf)
{
	int			ends[2];

	if (shared == NULL)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
	{
		pgha_agent_error("could not start the address keeper: %s", strerror(errno));
		shared = shared == MAP_FAILED ? NULL : shared;
		return;
	}
	atomic_store(&shared->retire, false);
	(void) fflush(NULL);
	keeper_pid = fork();
	if (keeper_pid == 0)
	{
		pgha_become_child(ends[0]);
		(void) signal(SIGPIPE, SIG_IGN);
		run_keeper(conf, ends[0]);
	}
	(void) close(ends[0]);
	if (keeper_pid > 0)
	{
		wake_fd = ends[1];
		return;
	}
	pgha_agent_error("could not start the address keeper: %s", strerror(errno));
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
	settings->ec2_insecure = conf->ec2_insecure;
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
	if (keeper_pid != 0 || (conf->address[0] == '\0' && !conf->fence_by_ec2) || pgha_clock_ms() < start_at)
		return;
	in_force = wanted;
	start_at = pgha_clock_ms() + 1000;
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
	if (lead == PGHA_LEAD_YES)
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
	if (pid == stopper_pid)
	{
		stopper_pid = 0;
		return true;
	}
	if (pid != keeper_pid)
		return false;
	keeper_pid = 0;
	if (wake_fd >= 0)
	{
		pgha_agent_warning("the address keeper has died, and is started again");
		(void) close(wake_fd);
	}
	wake_fd = -1;
	return true;
}

/* Tells the outcome until the server has it, which may be about to restart. */
static void
tell_outcome(const PghaAgentConf *conf, int64_t order_id, bool stopped, const char *message)
{
	char		id[32];
	const char *const values[] = {id, stopped ? "true" : "false", message};
	char		error[512];
	char		complaint[512] = "";
	int64_t		end = pgha_clock_ms() + OUTCOME_LIMIT_MS;
	PghaTold	told;

	(void) snprintf(id, sizeof(id), "%lld", (long long) order_id);
	for (;;)
	{
		told = pgha_tell_own_server(conf, "pgha_agent_done($1::bigint, $2::boolean, $3)", 3, values, error, sizeof(error));
		if (told == PGHA_TOLD)
			return;
		if (strcmp(error, complaint) != 0)
			pgha_agent_warning("own server: could not tell it that: %s", error);
		memcpy(complaint, error, sizeof(complaint));
		if (pgha_clock_ms() > end)
			return;
		(void) poll(NULL, 0, OUTCOME_PAUSE_MS);
	}
}

/* In a process of its own. */
static void
stop_instance(const PghaAgentConf *conf, int64_t order_id, const char *instance_id)
{
	/* Before the server gives up waiting: then there is a reason to tell. */
	int			limit_ms = conf->fence_timeout_ms - conf->fence_timeout_ms / 10;
	PghaEc2Options options;
	PghaEc2    *ec2;
	char		error[512] = "out of memory";
	bool		stopped = false;

	pgha_agent_log_process("fence");
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	init_ec2_options(conf, &options);
	ec2 = pgha_ec2_new(&options);
	pgha_agent_warning("stopping EC2 instance \"%s\"", instance_id);
	if (ec2 != NULL)
		stopped = pgha_ec2_stop_instance(ec2, instance_id, limit_ms, error, sizeof(error));
	if (stopped)
	{
		error[0] = '\0';
		pgha_agent_warning("EC2 instance \"%s\" is stopped", instance_id);
	}
	else
		pgha_agent_error("EC2 instance \"%s\" could not be stopped: %s", instance_id, error);
	tell_outcome(conf, order_id, stopped, error);
	_exit(stopped ? 0 : 1);
}

bool
pgha_keeper_stop_instance(const PghaAgentConf *conf, int64_t order_id, const char *instance_id)
{
	pid_t		pid;

	/* The session was lost: what is under way will tell its outcome. */
	if (stopper_pid != 0 && stopper_order == order_id)
		return true;

	/* Nobody waits for the former one any more. */
	if (stopper_pid != 0)
		(void) kill(stopper_pid, SIGTERM);
	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		pgha_become_child(-1);
		(void) signal(SIGPIPE, SIG_IGN);
		stop_instance(conf, order_id, instance_id);
	}
	if (pid < 0)
	{
		pgha_agent_error("could not start a process: %s", strerror(errno));
		return false;
	}
	stopper_pid = pid;
	stopper_order = order_id;
	return true;
}
