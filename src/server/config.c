/*
 * config.c
 *		The configuration pgha.*: definitions, and the checks on the set as a whole.
 *
 * PostgreSQL's own checks look at one variable at a time, replace what they
 * cannot read by the default and only warn of unknown names.  A server that
 * guards data must not start on a guess, so that the set is checked here: at
 * start, where a mistake is FATAL, and by the monitor at each reload, where the
 * last valid set stays in force.  Every message says what to write instead.
 */
#include "postgres.h"

#include <limits.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"
#include "postmaster/postmaster.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "utils/guc.h"

#include "../common/address_spec.h"
#include "../common/command.h"
#include "../common/pgpools.h"
#include "../common/timing.h"
#include "compat.h"
#include "config.h"
#include "config_files.h"
#include "config_http.h"
#include "config_notify.h"
#include "config_votes.h"
#include "io_child.h"
#include "witness.h"

char	   *pgha_node = NULL;
char	   *pgha_cluster = NULL;
char	   *pgha_members = NULL;
char	   *pgha_conninfo = NULL;
char	   *pgha_arbiter = NULL;
bool		pgha_auto_failover = true;
int			pgha_heartbeat_interval = 500;
int			pgha_failure_timeout = 3000;
int			pgha_startup_grace = 30000;
int			pgha_max_failover_lag = 16;
int			pgha_priority = 100;
int			pgha_fence = 0;
int			pgha_fence_timeout = 120000;
int			pgha_auto_rejoin = 1;
bool		pgha_clone_in_place = false;
bool		pgha_keep_old_data = false;
char	   *pgha_agent_directory = NULL;
char	   *pgha_server_log = NULL;
char	   *pgha_start_command = NULL;
char	   *pgha_stop_command = NULL;
char	   *pgha_clone_command = NULL;
char	   *pgha_clone_check = NULL;
char	   *pgha_pgpool = NULL;
char	   *pgha_pgpool_user = NULL;
char	   *pgha_pgpool_passfile = NULL;
char	   *pgha_address = NULL;
char	   *pgha_ec2_endpoint = NULL;
char	   *pgha_imds_endpoint = NULL;
bool		pgha_ec2_insecure = false;

/* The agent reads the same words (host/conf.c). */
static const struct config_enum_entry auto_rejoin_options[] = {
	{"off", 0, false},
	{"rewind", 1, false},
	{"clone", 2, false},
	{NULL, 0, false}
};

static const struct config_enum_entry fence_options[] = {
	{"off", 0, false},
	{"ec2-stop", 1, false},
	{NULL, 0, false}
};

/* What was written under pgha.* before this library defined any of it. */
#define MAX_WRITTEN		64
static struct
{
	char		name[NAMEDATALEN];
	char		value[256];
}			written[MAX_WRITTEN];
static int	written_count = 0;

/* This server has begun as what it is; other processes have it from the postmaster. */
static bool started = false;

/* Why this process could not take pgha.conninfo as written; empty if it could. */
static char conninfo_error[256] = "";

/*
 * PostgreSQL logs a setting that changed, with its value.  One that may hold a
 * password must not get that far.
 */
static bool
check_conninfo(char **newval, void **extra, GucSource source)
{
	(void) extra;
	(void) source;
	if (pgha_conninfo_check(*newval ? *newval : "", conninfo_error, sizeof(conninfo_error)))
	{
		conninfo_error[0] = '\0';
		return true;
	}
	GUC_check_errmsg("%s", conninfo_error);
	return false;
}

/* Remembers the pgha.* settings as written, while they are still placeholders. */
static void
remember_written(void)
{
	int			count;
	struct config_generic **variables = compat_guc_variables(&count);

	for (int i = 0; i < count && written_count < MAX_WRITTEN; i++)
	{
		const char *value;

		if ((variables[i]->flags & GUC_CUSTOM_PLACEHOLDER) == 0 ||
			pg_strncasecmp(variables[i]->name, "pgha.", 5) != 0)
			continue;
		value = GetConfigOption(variables[i]->name, true, false);
		strlcpy(written[written_count].name, variables[i]->name, NAMEDATALEN);
		strlcpy(written[written_count].value, value ? value : "",
				sizeof(written[written_count].value));
		written_count++;
	}
}

static void
define_text(const char *name, const char *what, const char *detail, char **variable, const char *boot)
{
	DefineCustomStringVariable(name, what, detail, variable, boot, PGC_SIGHUP, 0, NULL, NULL, NULL);
}

/* What the agent goes by. */
static void
define_agent_settings(void)
{
	DefineCustomEnumVariable("pgha.auto_rejoin",
							 "What the agent does by itself with a node that fell.",
							 "off: nothing; rewind: start and rewind it; clone: clone it if that is impossible.",
							 &pgha_auto_rejoin, 1, auto_rejoin_options, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pgha.clone_in_place",
							 "Whether a clone may empty the data directory where there is no place for a second one.",
							 NULL,
							 &pgha_clone_in_place, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pgha.keep_old_data",
							 "Whether the former data directory is kept after a clone streams.",
							 NULL,
							 &pgha_keep_old_data, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	define_text("pgha.agent_directory", "Where the agent keeps its own files; empty: the data directory's name and \".pgha\".",
				NULL, &pgha_agent_directory, "");
	define_text("pgha.server_log", "Where a server that the agent starts logs to; empty: where it did before.",
				"What it writes to stderr is appended there.", &pgha_server_log, "");
	define_text("pgha.start_command", "How the agent starts the server; empty: by itself.",
				"Split like a command line, run without a shell.", &pgha_start_command, "");
	define_text("pgha.stop_command", "How the agent stops the server; empty: by itself.",
				"Split like a command line, run without a shell.", &pgha_stop_command, "");
	define_text("pgha.clone_command", "What the agent fills a new data directory with; empty: pg_basebackup.",
				"Split like a command line, run without a shell. %d is the directory, %h and %p host and port of the primary, %n this node.",
				&pgha_clone_command, "");
	define_text("pgha.clone_check", "What must succeed before a data directory is given up for pgha.clone_command.",
				"Written like pgha.clone_command. Without it there is no clone in place with pgha.clone_command.",
				&pgha_clone_check, "");
	define_text("pgha.pgpool", "pgpools that are told of changes of roles, over PCP: 'host:9898, host:9898'.",
				NULL, &pgha_pgpool, "");
	define_text("pgha.pgpool_user", "User of PCP.", NULL, &pgha_pgpool_user, "pgha");
	define_text("pgha.pgpool_passfile", "File with the passwords of PCP; empty: ~/.pcppass.",
				NULL, &pgha_pgpool_passfile, "");
	define_text("pgha.address", "Address that the agent moves to the primary; empty: none.",
				"ec2:ADDRESS, ec2-elastic:ALLOCATION, ec2-route:NETWORK@TABLE,TABLE or local:ADDRESS/PREFIX@INTERFACE.",
				&pgha_address, "");
	define_text("pgha.ec2_endpoint", "Where the agent reaches the EC2 API; empty: the endpoint of its region.",
				NULL, &pgha_ec2_endpoint, "");
	define_text("pgha.imds_endpoint", "Where the agent reaches the instance metadata service; empty: its usual place.",
				NULL, &pgha_imds_endpoint, "");
	DefineCustomBoolVariable("pgha.ec2_insecure",
							 "Whether pgha.ec2_endpoint may be http://, which shows requests and session token to whoever listens.",
							 NULL,
							 &pgha_ec2_insecure, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_time(const char *name, const char *what, const char *detail, int *variable, int boot)
{
	DefineCustomIntVariable(name, what, detail, variable, boot, 1, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}

void
PghaConfigInit(void)
{
	if (process_shared_preload_libraries_in_progress)
		remember_written();

	DefineCustomStringVariable("pgha.node",
							   "Name of this node among pgha.members.",
							   "Empty: pgha only serves its SQL functions and changes nothing.",
							   &pgha_node, "", PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pgha.cluster",
							   "Name of this cluster in displays and log lines.",
							   NULL,
							   &pgha_cluster, "main", PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pgha.members",
							   "All nodes: 'name=host:port, name=host:port, …', the same on each node.",
							   NULL,
							   &pgha_members, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pgha.conninfo",
							   "libpq options shared by all connections between members.",
							   "User, sslmode, passfile and the like; never a password, host or port.",
							   &pgha_conninfo, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   check_conninfo, NULL, NULL);
	DefineCustomStringVariable("pgha.arbiter",
							   "The arbiter of the leader's lease; only '' (none) is supported.",
							   NULL,
							   &pgha_arbiter, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pgha.auto_failover",
							 "Whether this node may be promoted without an administrator.",
							 NULL,
							 &pgha_auto_failover, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	define_time("pgha.heartbeat_interval",
				"How often members and the primary are asked for a sign of life.",
				NULL, &pgha_heartbeat_interval, 500);
	define_time("pgha.failure_timeout",
				"Silence after which a member counts as gone.",
				NULL, &pgha_failure_timeout, 3000);
	define_time("pgha.startup_grace",
				"How long a primary that is starting up or shutting down is waited for.",
				"Also how long a former primary waits for news of a later leader.",
				&pgha_startup_grace, 30000);
	DefineCustomIntVariable("pgha.max_failover_lag",
							"A standby further behind the primary than this is not promoted.",
							NULL,
							&pgha_max_failover_lag, 16, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pgha.priority",
							"Of equally advanced standbys the one with the highest priority is promoted.",
							"0: this node is never promoted.",
							&pgha_priority, 100, 0, 1000, PGC_SIGHUP, 0,
							NULL, NULL, NULL);
	DefineCustomEnumVariable("pgha.fence",
							 "What is done to an old primary that may be alive before a standby promotes itself.",
							 "off: nothing; ec2-stop: the agent stops its EC2 instance.",
							 &pgha_fence, 0, fence_options, PGC_SIGHUP, 0, NULL, NULL, NULL);
	define_time("pgha.fence_timeout",
				"How long the agent may take to stop the old primary's instance.",
				NULL, &pgha_fence_timeout, 120000);
	PghaConfigVotesInit();
	PghaConfigNotifyInit();
	PghaConfigHttpInit();
	define_agent_settings();
}

/* FNV-1a: tells sets apart that should be the same on all members. */
static uint64
hash_text(uint64 hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char) *text) * UINT64CONST(1099511628211);
	return (hash ^ 0xff) * UINT64CONST(1099511628211);
}

/* What voters must agree on, and with `data` what those that have data must. */
static uint64
hash_config(const PghaMembers *members, bool data)
{
	uint64		hash = UINT64CONST(14695981039346656037);
	char		numbers[128];
	char		votes[PGHA_MAX_MEMBERS * sizeof(PghaAddress)];

	hash = hash_text(hash, pgha_cluster);
	for (int i = 0; i < members->count; i++)
	{
		char		port[16];

		snprintf(port, sizeof(port), "%d", members->member[i].port);
		hash = hash_text(hash, members->member[i].name);
		hash = hash_text(hash, members->member[i].host);
		hash = hash_text(hash, port);
	}
	if (data)
		snprintf(numbers, sizeof(numbers), "%d %d %d %d", pgha_heartbeat_interval,
				 pgha_failure_timeout, pgha_startup_grace, pgha_max_failover_lag);
	else
		snprintf(numbers, sizeof(numbers), "%d %d", pgha_heartbeat_interval, pgha_failure_timeout);
	hash = hash_text(hash, numbers);
	if (data)
	{
		hash = hash_text(hash, pgha_address);
		hash = hash_text(hash, fence_options[pgha_fence].name);
	}
	PghaConfigVotesText(members, votes, sizeof(votes));
	return votes[0] != '\0' ? hash_text(hash, votes) : hash;
}

bool
PghaConfigDiffers(const PghaSettings *settings, int member, uint64 hash)
{
	if (member == settings->self || member >= Max(settings->voters, settings->count) - settings->leaving)
		return false;
	if (settings->self >= settings->count && member < settings->count)
		return false;
	return hash != (member < settings->count ? settings->config_hash : settings->witness_hash);
}

/* Without the full stop: a sentence that becomes part of a message. */
static char *
phrase(char *sentence)
{
	size_t		length = strlen(sentence);

	if (length > 0 && sentence[length - 1] == '.')
		sentence[length - 1] = '\0';
	return sentence;
}

void
PghaConfigKeepVoters(PghaConfig *config, const PghaDurable *durable)
{
	if (durable->rule.term != 0 && config->settings.voters == 0)
		config->settings.voters = config->members.voters;
}

/* Is this empty, or http(s)://host[:port] with nothing behind it? */
static bool
endpoint_valid(const char *url)
{
	const char *host;
	const char *end;
	uint64		port;

	if (url[0] == '\0')
		return true;
	if (strncmp(url, "https://", 8) == 0)
		host = url + 8;
	else if (strncmp(url, "http://", 7) == 0)
		host = url + 7;
	else
		return false;
	if (host[0] == '[')
	{
		end = host + 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
		if (end == host + 1 || *end++ != ']')
			return false;
	}
	else
	{
		end = host + strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
		if (end == host)
			return false;
	}
	return *end == '\0' ||
		(*end == ':' && pgha_parse_uint64(end + 1, &port) && port >= 1 && port <= 65535);
}

/* What has to do with the address that follows the primary, and with EC2. */
static bool
check_host_settings(const PghaMembers *members, char *error, size_t error_size, char *hint, size_t hint_size)
{
	const PghaTiming timing = {.fence_timeout = pgha_fence_timeout};
	PghaAddressSpec spec;
	char		reason[400];

	if (!pgha_address_spec_parse(pgha_address, &spec, reason, sizeof(reason)))
	{
		snprintf(error, error_size, "pgha.address cannot be read: %s", phrase(reason));
		snprintf(hint, hint_size, "Write an address of one of the kinds in the manual, the same on all nodes, as in pgha.address = 'ec2:10.0.3.10'.");
		return false;
	}
	for (int i = 0; i < members->voters; i++)
	{
		if (!pgha_address_spec_is_host(&spec, members->member[i].host))
			continue;
		snprintf(error, error_size, "pgha.address is the address of %s \"%s\"", i < members->count ? "member" : "witness",
				 members->member[i].name);
		snprintf(hint, hint_size, "Write an address of its own, which no member has in pgha.members and no witness in pgha.witnesses: it moves from host to host.");
		return false;
	}
	if (!endpoint_valid(pgha_ec2_endpoint) || !endpoint_valid(pgha_imds_endpoint))
	{
		snprintf(error, error_size, "%s is not an endpoint",
				 endpoint_valid(pgha_ec2_endpoint) ? "pgha.imds_endpoint" : "pgha.ec2_endpoint");
		snprintf(hint, hint_size, "Write http:// or https://, a host and, if need be, a port, as in 'https://ec2.eu-central-1.amazonaws.com'; or '' for the usual one.");
		return false;
	}
	if (pg_strncasecmp(pgha_ec2_endpoint, "http://", 7) == 0 && !pgha_ec2_insecure)
	{
		snprintf(error, error_size, "pgha.ec2_endpoint is not encrypted");
		snprintf(hint, hint_size, "Write https://. Where whoever listens may see the requests and the session token, as in a test, write pgha.ec2_insecure = on.");
		return false;
	}
	return pgha_timing_check_fence(&timing, error, error_size, hint, hint_size);
}

/* What only the agent uses is checked here, so that a mistake shows at once. */
static bool
check_agent_settings(char *error, size_t error_size, char *hint, size_t hint_size)
{
	const struct
	{
		const char *name;
		const char *value;
	}			commands[] = {
		{"pgha.start_command", pgha_start_command},
		{"pgha.stop_command", pgha_stop_command},
		{"pgha.clone_command", pgha_clone_command},
		{"pgha.clone_check", pgha_clone_check}
	};
	static const PghaEscape escapes[] = {{'d', ""}, {'h', ""}, {'p', ""}, {'n', ""}, {0, NULL}};
	PghaPgpools pgpools;
	char		reason[256];

	for (int i = 0; i < (int) lengthof(commands); i++)
	{
		char	  **argv = pgha_command_split(commands[i].value, i >= 2 ? escapes : NULL,
											  reason, sizeof(reason));
		bool		absolute = argv != NULL && (argv[0] == NULL || argv[0][0] == '/');

		free(argv);
		if (argv == NULL)
			snprintf(error, error_size, "%s cannot be read: %s", commands[i].name, reason);
		else if (!absolute)
			snprintf(error, error_size, "%s does not begin with an absolute path", commands[i].name);
		else
			continue;
		snprintf(hint, hint_size, "Write a program with its arguments, as in %s = '/usr/bin/pg_ctlcluster 15 main start'; no shell will read it.",
				 commands[i].name);
		return false;
	}
	if (pgha_agent_directory[0] != '\0' && pgha_agent_directory[0] != '/')
	{
		snprintf(error, error_size, "pgha.agent_directory is not an absolute path");
		snprintf(hint, hint_size, "Write a directory outside of the data directory, as in pgha.agent_directory = '/var/lib/pgha'.");
		return false;
	}
	if (pgha_server_log[0] != '\0' && pgha_server_log[0] != '/')
	{
		snprintf(error, error_size, "pgha.server_log is not an absolute path");
		snprintf(hint, hint_size, "Write a file, as in pgha.server_log = '/var/log/postgresql/postgresql-15-main.log'.");
		return false;
	}
	if (!pgha_pgpools_parse(pgha_pgpool, &pgpools, error, error_size))
	{
		snprintf(hint, hint_size, "Write host and PCP port of each pgpool: pgha.pgpool = 'pool-1:9898, pool-2:9898'.");
		return false;
	}
	return true;
}

static bool
is_witness(const PghaConfig *config)
{
	return config->settings.self >= config->members.count;
}

/*
 * Which of the members or witnesses is this server?  A running one does not turn
 * from the one into the other: what it has on disk is not what it would need.
 */
static bool
find_self(PghaConfig *config, char *error, size_t error_size, char *hint, size_t hint_size)
{
	int			self = pgha_voters_find(&config->members, pgha_node);

	config->settings.self = self;
	if (self == PGHA_NOBODY && config->members.voters == config->members.count)
	{
		snprintf(error, error_size, "pgha.node \"%s\" is not one of pgha.members", pgha_node);
		snprintf(hint, hint_size, "Add '%s=host:port' to pgha.members (a witness: to pgha.witnesses) on all nodes, or correct pgha.node.",
				 pgha_node);
		return false;
	}
	if (self == PGHA_NOBODY)
	{
		snprintf(error, error_size, "pgha.node \"%s\" is one of neither pgha.members nor pgha.witnesses", pgha_node);
		snprintf(hint, hint_size, "Add '%s=host:port' to pgha.members if it has data, or to pgha.witnesses if it only votes, on all nodes; or correct pgha.node.",
				 pgha_node);
		return false;
	}
	if (!started || is_witness(config) == PghaIsWitness())
		return true;
	snprintf(error, error_size, is_witness(config) ?
			 "pgha.witnesses lists this node, which has started as a member" :
			 "pgha.members lists this node, which has started as a witness");
	snprintf(hint, hint_size, "Give a witness a server of its own, under a name and port of its own.");
	return false;
}

bool
PghaConfigBuild(PghaConfig *config, uint64 instance, char *error, size_t error_size,
				char *hint, size_t hint_size)
{
	PghaSettings *settings = &config->settings;
	PghaTiming	timing;

	memset(config, 0, sizeof(*config));
	error[0] = hint[0] = '\0';

	if (!pgha_name_valid(pgha_node))
	{
		snprintf(error, error_size, "pgha.node \"%.64s\" is not a valid name", pgha_node);
		snprintf(hint, hint_size, "Use at most %d letters, digits, '-', '_' and '.', and no '-' at the beginning, for example pgha.node = 'db-1'.",
				 PGHA_NAME_SIZE - 1);
		return false;
	}
	if (!pgha_name_valid(pgha_cluster))
	{
		snprintf(error, error_size, "pgha.cluster is not a valid name");
		snprintf(hint, hint_size, "Use at most %d letters, digits, '-', '_' and '.', and no '-' at the beginning, the same on all nodes, for example pgha.cluster = 'main'.",
				 PGHA_NAME_SIZE - 1);
		return false;
	}
	if (pgha_members[0] == '\0')
	{
		snprintf(error, error_size, "pgha.node is set, but pgha.members is empty");
		snprintf(hint, hint_size, "Write all nodes, the same on each of them: pgha.members = '%s=10.0.0.1:5432, db-2=10.0.0.2:5432'.",
				 pgha_node);
		return false;
	}
	if (!pgha_members_parse(pgha_members, &config->members, error, error_size))
	{
		snprintf(hint, hint_size, "Write pgha.members = 'db-1=10.0.0.1:5432, db-2=10.0.0.2:5432'.");
		return false;
	}
	if (conninfo_error[0] != '\0')
	{
		strlcpy(error, conninfo_error, error_size);
		snprintf(hint, hint_size, "Write pgha.conninfo = 'user=pgha passfile=/path/to/.pgpass'; hosts and ports come from pgha.members.");
		return false;
	}
	if (strlen(pgha_conninfo) >= PGHA_CONNINFO_SIZE / 2)
	{
		snprintf(error, error_size, "pgha.conninfo is longer than %d bytes", PGHA_CONNINFO_SIZE / 2 - 1);
		snprintf(hint, hint_size, "Move options to a service-independent place such as the environment or files.");
		return false;
	}
	if (pgha_arbiter[0] != '\0')
	{
		snprintf(error, error_size, "pgha.arbiter is set, but this version of pgha has no arbiter");
		snprintf(hint, hint_size, "Write pgha.arbiter = '' or remove the line.");
		return false;
	}
	timing = (PghaTiming) {
		.heartbeat_interval = pgha_heartbeat_interval, .failure_timeout = pgha_failure_timeout,
		.startup_grace = pgha_startup_grace
	};
	if (!pgha_timing_check(&timing, error, error_size, hint, hint_size))
		return false;

	if (!PghaConfigVotesBuild(&config->members, settings, pgha_heartbeat_interval, pgha_failure_timeout,
							  error, error_size, hint, hint_size) ||
		!find_self(config, error, error_size, hint, hint_size))
		return false;
	if (!check_agent_settings(error, error_size, hint, hint_size) ||
		!PghaConfigNotifyCheck(error, error_size, hint, hint_size) ||
		!check_host_settings(&config->members, error, error_size, hint, hint_size) ||
		!PghaConfigHttpCheck(error, error_size, hint, hint_size))
		return false;

	settings->count = config->members.count;
	for (int i = 0; i < config->members.voters; i++)
	{
		strlcpy(settings->name[i], config->members.member[i].name, PGHA_NAME_SIZE);
		/* A member that cannot be given a connection string could never be read. */
		if (!pgha_conninfo_build(config->conninfo, sizeof(config->conninfo), pgha_conninfo,
								 &config->members.member[i], pgha_node, NULL))
		{
			snprintf(error, error_size, "the connection string for \"%s\" is too long",
					 settings->name[i]);
			snprintf(hint, hint_size, "Shorten pgha.conninfo.");
			return false;
		}
	}
	strlcpy(config->conninfo, pgha_conninfo, sizeof(config->conninfo));
	settings->heartbeat_interval = (pgha_time) pgha_heartbeat_interval * 1000;
	settings->failure_timeout = (pgha_time) pgha_failure_timeout * 1000;
	settings->startup_grace = (pgha_time) pgha_startup_grace * 1000;
	settings->max_failover_lag = (uint64) pgha_max_failover_lag * 1024 * 1024;
	settings->priority = pgha_priority;
	settings->auto_failover = pgha_auto_failover;
	settings->fence = pgha_fence != 0;
	settings->fence_timeout = (pgha_time) pgha_fence_timeout * 1000;
	settings->witness_hash = hash_config(&config->members, false);
	settings->config_hash = is_witness(config) ? settings->witness_hash : hash_config(&config->members, true);
	settings->system_identifier = is_witness(config) ? PghaWitnessSystem() : GetSystemIdentifier();
	settings->instance = instance;
	return true;
}

/* "Write a, b or c." */
static const char *
words_of(const struct config_enum *variable)
{
	StringInfoData text;

	initStringInfo(&text);
	for (const struct config_enum_entry *option = variable->options; option->name != NULL; option++)
		appendStringInfo(&text, "%s%s", text.len == 0 ? "Write " : option[1].name == NULL ? " or " : ", ",
						 option->name);
	appendStringInfoChar(&text, '.');
	return text.data;
}

/* FATAL for a name or value under pgha.* that PostgreSQL would only warn of. */
static void
check_written(void)
{
	int			count;
	struct config_generic **variables = compat_guc_variables(&count);

	for (int w = 0; w < written_count; w++)
	{
		for (int i = 0; i < count; i++)
		{
			if (pg_strcasecmp(variables[i]->name, written[w].name) != 0)
				continue;
			if (variables[i]->flags & GUC_CUSTOM_PLACEHOLDER)
			{
				const char *nearest = PghaConfigNearest(written[w].name);

				ereport(FATAL,
						(errcode(ERRCODE_UNDEFINED_OBJECT),
						 errmsg("unrecognized configuration parameter \"%s\"", written[w].name),
						 nearest != NULL ? errhint("Did you mean \"%s\"?", nearest) :
						 errhint("Correct or remove the line; \"SELECT name FROM pg_settings WHERE name LIKE 'pgha.%%'\" lists what this version of pgha knows.")));
			}
			if (variables[i]->source == PGC_S_DEFAULT &&
				(variables[i]->flags & GUC_SUPERUSER_ONLY) == 0)
				ereport(FATAL,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("invalid value for parameter \"%s\": \"%s\"",
								written[w].name, written[w].value),
						 errhint("%s", variables[i]->vartype == PGC_BOOL ?
								 "Write on or off." :
								 variables[i]->vartype == PGC_ENUM ?
								 words_of((struct config_enum *) variables[i]) :
								 variables[i]->vartype == PGC_INT && (variables[i]->flags & GUC_UNIT_TIME) ?
								 "Write a time with its unit, for example '500ms' or '3s'." :
								 variables[i]->vartype == PGC_INT && (variables[i]->flags & GUC_UNIT_MEMORY) ?
								 "Write a size with its unit, for example '16MB' or '8GB'." :
								 "Write a value within the limits that the manual gives.")));
		}
	}
}

/* Warnings for settings without which a member that has data could not take part. */
static void
warn_of_missing_data(int members)
{
	if (!EnableHotStandby)
		ereport(WARNING,
				(errmsg("pgha needs hot_standby = on, this server cannot be asked for its state while it is a standby"),
				 errhint("Write hot_standby = on.")));
	if (max_replication_slots < members - 1)
		ereport(WARNING,
				(errmsg("max_replication_slots = %d is too low for %d members", max_replication_slots, members),
				 errhint("Write max_replication_slots = %d or more: one for each other member.",
						 Max(10, members - 1))));
	if (!wal_log_hints && !DataChecksumsEnabled())
		ereport(WARNING,
				(errmsg("neither wal_log_hints nor data checksums are on, a fallen primary cannot be rewound"),
				 errhint("Write wal_log_hints = on, or enable checksums with pg_checksums.")));
	if (!restart_after_crash)
		ereport(WARNING,
				(errmsg("restart_after_crash is off, a fenced primary stays down until it is started by hand"),
				 errhint("Write restart_after_crash = on.")));
}

/* Warnings for settings without which failover or rejoining will not work. */
static void
warn_of_missing(const PghaConfig *config)
{
	int			members = config->members.count;
	int			witnesses = config->members.voters - members;
	int			senders;

	/* Each other voter reads the report on one connection; a member streams on another. */
	senders = is_witness(config) ? members + witnesses : 2 * (members - 1) + witnesses + 1;
	if (wal_level < WAL_LEVEL_REPLICA)
		ereport(WARNING,
				(errmsg("pgha needs wal_level = replica or higher, standbys cannot follow this server"),
				 errhint("Write wal_level = replica.")));
	if (max_wal_senders < senders)
		ereport(WARNING,
				(errmsg("max_wal_senders = %d is too low for %d members%s", max_wal_senders, members,
						witnesses > 0 ? " and their witnesses" : ""),
				 errhint("Write max_wal_senders = %d or more: two for each other member, one for each witness, and one for a base backup.",
						 Max(10, senders))));
	if (!is_witness(config))
		warn_of_missing_data(members);
	PghaConfigVotesWarn(&config->members);
}

/* Without the monitor the commit gate would never open. */
static void
check_worker_registered(void)
{
	compat_worker_iter iter;

	compat_worker_foreach(iter)
	{
		RegisteredBgWorker *worker = compat_worker_of(iter);

		if (strcmp(worker->rw_worker.bgw_library_name, "pgha") == 0)
			return;
	}
	ereport(FATAL,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no background worker slot is left for pgha"),
			 errhint("Write max_worker_processes = %d or more.", Max(8, max_worker_processes + 1))));
}

/* Without the program no member could be asked, and silence is what starts a failover. */
static void
check_program(void)
{
	char		path[MAXPGPATH];

	PghaProgramPath(path);
	if (access(path, X_OK) != 0)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not find the program \"%s\": %m", path),
				 errhint("Install pgha with \"make install\", which puts the program beside the server's executables.")));
}

void
PghaConfigCheckAtStart(void)
{
	PghaConfig	config;
	char		error[512];
	char		hint[512];

	check_written();
	if (!PghaConfigBuild(&config, 0, error, sizeof(error), hint, sizeof(hint)))
		ereport(FATAL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s", error),
				 errhint("%s", hint)));
	check_worker_registered();
	check_program();
	started = true;
	if (is_witness(&config))
		PghaWitnessStart();
	warn_of_missing(&config);
	MarkGUCPrefixReserved("pgha");
}
