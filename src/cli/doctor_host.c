/*
 * doctor_host.c
 *		Checks of `pgha doctor -D`: this host, as its agent would find it.
 *
 * The agent needs programs, places and logins at the moment of a failure; here
 * each is tried ahead of need.  Nothing is changed: no file is written, nothing
 * is started but the programs' --version.  Run as another user than the server's
 * the answers would be about that user, so that is told first.
 */
#include "doctor_host.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/command.h"
#include "../common/extension.h"
#include "../common/pgpools.h"
#include "../host/durable.h"
#include "../host/process.h"
#include "../host/mark.h"
#include "../host/server_ctl.h"
#include "../host/top.h"
#include "../net/member.h"
#include "../net/pcp.h"
#include "doctor_address.h"
#include "finding.h"

#define VERSION_LIMIT_MS	10000
#define LOGIN_OPTIONS	"connect_timeout=5 " PGHA_SESSION_PARAMETERS("-c statement_timeout=10000")

/* What the checks go by. */
typedef struct Host
{
	const PghaAgentConf *conf;
	json_t	   *findings;
} Host;

typedef struct HostCheck
{
	const char *name;
	void		(*run) (Host *host, const char *name);
} HostCheck;

#define fine(host, name, ...)	pgha_finding((host)->findings, "ok", name, NULL, __VA_ARGS__)

/* ---- programs ---- */

typedef struct Version
{
	char		text[64];
} Version;

static void
take_version(const char *line, void *arg)
{
	Version    *version = arg;
	const char *number = strpbrk(line, "0123456789");

	if (version->text[0] == '\0' && number != NULL)
		(void) snprintf(version->text, sizeof(version->text), "%.*s", (int) strcspn(number, " \t("), number);
}

/* "15.4" of "pg_rewind (PostgreSQL) 15.4 (Debian ...)"; empty if it cannot be run. */
static Version
version_of(const char *bin, const char *program)
{
	char		path[PATH_MAX + 32];
	char		option[] = "--version";
	char	   *argv[] = {path, option, NULL};
	Version		version = {""};
	PghaRun		run = {.argv = argv, .limit_ms = VERSION_LIMIT_MS, .line = take_version, .arg = &version};

	(void) snprintf(path, sizeof(path), "%s/%s", bin, program);
	if (pgha_run(&run) != 0)
		version.text[0] = '\0';
	return version;
}

static void
check_programs(Host *host, const char *name)
{
	static const char *const programs[] = {"pg_controldata", "pg_rewind", "pg_basebackup", "pg_waldump"};
	const char *bin = host->conf->bin;
	Version		server = version_of(bin, "postgres");
	bool		good = server.text[0] != '\0';

	if (!good)
		pgha_finding(host->findings, "error", name, "Install the server's package again; pgha must be beside it.",
					 "\"%s/postgres\" cannot be run", bin);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
	{
		Version		version = version_of(bin, programs[i]);

		if (version.text[0] != '\0' && strcmp(version.text, server.text) == 0)
			continue;
		good = false;
		if (version.text[0] == '\0')
			pgha_finding(host->findings, "error", name, "Install the package of PostgreSQL's client or server programs that has it.",
						 "\"%s/%s\" cannot be run: a fallen node could not be brought back", bin, programs[i]);
		else
			pgha_finding(host->findings, "warning", name, "Install the same version of both packages.",
						 "%s is version %s, postgres is %s", programs[i], version.text, server.text);
	}
	if (good)
		fine(host, name, "PostgreSQL %s in \"%s\"", server.text, bin);
}

/* ---- places ---- */

static void
check_user(Host *host, const char *name)
{
	struct stat st;
	struct passwd *owner;

	if (stat(host->conf->data, &st) != 0 || st.st_uid == geteuid())
	{
		fine(host, name, "this is the server's user");
		return;
	}
	owner = getpwuid(st.st_uid);
	pgha_finding(host->findings, "warning", name, "Run it again as that user; so must the agent.",
				 "this is not the user who owns the data directory (%s): what follows may be different for the agent",
				 owner != NULL ? owner->pw_name : "unknown");
}

static void
check_data_directory(Host *host, const char *name)
{
	const char *data = host->conf->data;
	struct stat st;

	if (stat(data, &st) != 0 && errno == ENOENT)
		pgha_finding(host->findings, "warning", name, "A clone makes it: SELECT pgha_recover_node(...) on the primary.",
					 "data directory \"%s\" does not exist", data);
	else if (stat(data, &st) != 0 || !S_ISDIR(st.st_mode))
		pgha_finding(host->findings, "error", name, "Correct data_directory, or -D.",
					 "\"%s\" is no directory that can be used", data);
	else if (pgha_mark_is_set(data) == PGHA_MARK_SET)
		pgha_finding(host->findings, "error", name, "Let the agent finish, or run SELECT pgha_recover_node(..., 'clone') on the primary; leave its mode and recovery.conf alone.",
					 "data directory \"%s\" is not whole: it is being rewound or cloned, or that was interrupted", data);
	else if ((st.st_mode & (S_IRWXO | S_IWGRP)) != 0)
		pgha_finding(host->findings, "error", name, "Run chmod 0700 on it.",
					 "data directory \"%s\" has mode %04o: the server does not start", data, (unsigned) (st.st_mode & 07777));
	else
		fine(host, name, "\"%s\", mode %04o", data, (unsigned) (st.st_mode & 07777));
}

/* What a recovery would find in its way. */
static bool
tell_of_top(const char *entry, PghaTopKind kind, void *arg)
{
	const Host *host = arg;
	const char *matter = pgha_top_matter(kind);

	if (matter != NULL)
		pgha_finding(host->findings, kind == PGHA_TOP_UNREADABLE || kind == PGHA_TOP_LOCKED ? "error" : "warning", "host_data_top",
					 kind == PGHA_TOP_UNREADABLE ? "Let the server's user read it, or move it out of the data directory." :
					 kind == PGHA_TOP_LOCKED ? "Give it to the server's user, without chattr's flags, or move it out of the data directory." :
					 "Move it out of the data directory.",
					 "\"%s\" in \"%s\" is not PostgreSQL's, and %s: %s", entry, host->conf->data, matter,
					 kind == PGHA_TOP_UNREADABLE ? "a rewind and a clone are refused" :
					 kind == PGHA_TOP_SPECIAL ? "a clone keeps the former data directory, and none is made in place" :
					 "a rewind, and a clone in place, are refused, and a clone keeps the former data directory");
	return true;
}

static void
check_data_top(Host *host, const char *name)
{
	size_t		before = json_array_size(host->findings);

	if (!pgha_top_scan(host->conf->data, tell_of_top, host))
		pgha_finding(host->findings, "error", name, "Run it as the server's user.",
					 "data directory \"%s\" cannot be read: %s", host->conf->data, strerror(errno));
	else if (json_array_size(host->findings) == before)
		fine(host, name, "a recovery carries along what is in the data directory beside PostgreSQL's files");
}

static void
check_agent_directory(Host *host, const char *name)
{
	const char *directory = host->conf->directory;
	char		parent[PATH_MAX];
	struct stat st;

	pgha_parent_of(directory, parent);
	if (stat(directory, &st) == 0)
	{
		if (!S_ISDIR(st.st_mode) || access(directory, R_OK | W_OK | X_OK) != 0)
			pgha_finding(host->findings, "error", name, "Give it to the server's user, mode 0700.",
						 "the agent's directory \"%s\" cannot be written to", directory);
		else
			fine(host, name, "\"%s\" can be written to", directory);
	}
	else if (access(parent, W_OK | X_OK) != 0)
		pgha_finding(host->findings, "error", name, "Create it for the server's user, mode 0700; or write pgha.agent_directory.",
					 "the agent's directory \"%s\" does not exist and cannot be created: %s", directory, strerror(errno));
	else
		fine(host, name, "\"%s\" can be created", directory);
}

/* The first word of a command must be a program. */
static void
check_commands(Host *host, const char *name)
{
	const struct
	{
		const char *setting;
		const char *command;
	}			commands[] = {
		{"pgha.start_command", host->conf->start_command},
		{"pgha.stop_command", host->conf->stop_command},
		{"pgha.clone_command", host->conf->clone_command},
		{"pgha.clone_check", host->conf->clone_check},
	};
	static const PghaEscape escapes[] = {{'d', ""}, {'h', ""}, {'p', ""}, {'n', ""}, {0, NULL}};
	char		error[256];
	bool		good = true;

	for (int i = 0; i < 4; i++)
	{
		char	  **argv = pgha_command_split(commands[i].command, i >= 2 ? escapes : NULL, error, sizeof(error));

		if (argv == NULL || (argv[0] != NULL && access(argv[0], X_OK) != 0))
		{
			good = false;
			pgha_finding(host->findings, "error", name, "Correct the path, or install the program.",
						 "%s cannot be run: %s", commands[i].setting, argv == NULL ? error : strerror(errno));
		}
		free(argv);
	}
	if (good)
		fine(host, name, "the programs of pgha.start_command, pgha.stop_command and pgha.clone_command are there");
}

/* A file that is only used if nobody else may read it. */
static void
check_secret_file(Host *host, const char *name, const char *path, const char *setting)
{
	struct stat st;
	char		remedy[PATH_MAX + 64];

	(void) snprintf(remedy, sizeof(remedy), "Run chmod 0600 \"%s\".", path);
	if (stat(path, &st) != 0 || access(path, R_OK) != 0)
		pgha_finding(host->findings, "error", name, "Create it, owned by the server's user, mode 0600.",
					 "the password file \"%s\" (%s) cannot be read: %s", path, setting, strerror(errno));
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		pgha_finding(host->findings, "error", name, remedy, "the password file \"%s\" (%s) has mode %04o: it is not used",
					 path, setting, (unsigned) (st.st_mode & 07777));
	else
		fine(host, name, "\"%s\", mode %04o", path, (unsigned) (st.st_mode & 07777));
}

static void
check_host_passfile(Host *host, const char *name)
{
	char		path[PGHA_CONNINFO_SIZE];

	if (pgha_conninfo_get(host->conf->conninfo, "passfile", path, sizeof(path)) && path[0] != '\0')
		check_secret_file(host, name, path, "pgha.conninfo");
	else
		fine(host, name, "pgha.conninfo names none");
}

/* ---- logins ---- */

/* Connects to a member as the agent does. */
static void
check_login(Host *host, const char *name, int member)
{
	const PghaAddress *address = &host->conf->members.member[member];
	char		error[512];
	PGconn	   *conn = pgha_member_connect(host->conf->conninfo, address, LOGIN_OPTIONS, error, sizeof(error));
	char	   *schema;

	if (conn == NULL)
	{
		pgha_finding(host->findings, member == host->conf->self ? "error" : "warning", name,
					 "If it is up: the log of that server says whether role, password or a line in pg_hba.conf is wrong.",
					 "the agent could not log in to \"%s\": %s", address->name, error);
		return;
	}
	schema = pgha_member_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, error, sizeof(error));
	if (schema == NULL)
		pgha_finding(host->findings, "warning", name, "See the log of that server.",
					 "\"%s\" does not answer the agent: %s", address->name, error);
	else if (*schema == '\0')
		pgha_finding(host->findings, "error", name, "Run CREATE EXTENSION pgha; SELECT pgha_setup_role(); there, on the primary.",
					 "database \"%s\" of \"%s\", to which the agent connects, does not have the extension pgha",
					 PQdb(conn), address->name);
	else
		fine(host, name, "the agent can log in to \"%s\"", address->name);
	free(schema);
	PQfinish(conn);
}

static void
check_logins(Host *host, const char *name)
{
	for (int i = 0; i < host->conf->members.count; i++)
		check_login(host, name, i);
}

/* ---- the server ---- */

static void
check_server(Host *host, const char *name)
{
	pid_t		pid;
	char		why[PGHA_WHY_SIZE];
	PghaServer	server = pgha_server_look_why(host->conf, &pid, why, sizeof(why));

	switch (server)
	{
		case PGHA_SERVER_RUNNING:
			fine(host, name, "it runs, process %d", (int) pid);
			break;
		case PGHA_SERVER_MARKED:
			pgha_finding(host->findings, "error", name, "Let the agent finish it; see pgha_recovery_progress() on the primary.",
						 "the data directory is being rewound or cloned: it must not be started by hand");
			break;
		case PGHA_SERVER_UNKNOWN:
			pgha_finding(host->findings, "error", name, "See what is said there; the agent neither starts it nor changes anything meanwhile.",
						 "whether the server runs, or how it ended, cannot be told: %s", why);
			break;
		default:
			pgha_finding(host->findings, "error", name, "Start it, or run SELECT pgha_recover_node(...) on the primary.",
						 "the server does not run (%s)", pgha_server_word(server));
	}
}

/* ---- pgpool ---- */

static void
check_pgpool_passfile(Host *host, const char *name)
{
	if (host->conf->pgpool[0] == '\0')
		fine(host, name, "pgha.pgpool is empty");
	else
		check_secret_file(host, name, host->conf->pgpool_passfile, "pgha.pgpool_passfile");
}

static void
check_pgpools(Host *host, const char *name)
{
	const PghaPcpLogin login = {.user = host->conf->pgpool_user, .passfile = host->conf->pgpool_passfile};
	PghaPgpools pgpools;
	char		error[512];

	if (host->conf->pgpool[0] == '\0')
	{
		fine(host, name, "pgha.pgpool is empty: no pgpool is told of changes");
		return;
	}
	if (!pgha_pgpools_parse(host->conf->pgpool, &pgpools, error, sizeof(error)))
	{
		pgha_finding(host->findings, "error", name, "Write pgha.pgpool = 'pool-1:9898'.", "pgha.pgpool cannot be used: %s", error);
		return;
	}
	for (int i = 0; i < pgpools.count; i++)
	{
		int			count = pgha_pgpool_try(&login, pgpools.pgpool[i].host, pgpools.pgpool[i].port, error, sizeof(error));

		if (count < 0)
			pgha_finding(host->findings, "error", name,
						 "See that pgpool runs, pcp_listen_addresses lets this host in, pcp.conf has the user, and the password file its password.",
						 "%s", error);
		else
			fine(host, name, "%s:%d answers, %d backends", pgpools.pgpool[i].host, pgpools.pgpool[i].port, count);
	}
}

/* ---- all ---- */

static const HostCheck checks[] = {
	{"host_user", check_user},
	{"host_server", check_server},
	{"host_programs", check_programs},
	{"host_data_directory", check_data_directory},
	{"host_data_top", check_data_top},
	{"host_agent_directory", check_agent_directory},
	{"host_commands", check_commands},
	{"host_passfile", check_host_passfile},
	{"host_logins", check_logins},
	{"host_pgpool_passfile", check_pgpool_passfile},
	{"host_pgpools", check_pgpools},
};

void
pgha_doctor_host(const PghaAgentConf *conf, json_t *findings)
{
	Host	host = {.conf = conf, .findings = findings};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i].run(&host, checks[i].name);
	pgha_doctor_address(conf, findings);
}
