/*
 * witness_make.c
 *		The data directory of a witness: initdb, settings, who may log in, the role.
 *
 * For witness.c.  All of it is made in a directory that was missing or empty; what
 * goes wrong, or Ctrl-C, takes it away again.  The role is made by a first server
 * that listens in a directory of its own only; a second one, with the settings that
 * stay, shows that these can be started with.  No program is run through a shell,
 * and the password is in no command line: the server gets to see its verifier.
 */
#include "witness_make.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/errors.h"
#include "../host/durable.h"
#include "../host/process.h"
#include "../host/server_ctl.h"
#include "../net/connect.h"

#define INITDB_LIMIT_MS		120000
#define START_LIMIT_MS		60000
#define CONF_FILE			"pgha-witness.conf"
#define PASS_FILE			"pgha_pass"
#define LOG_FILE			"witness.log"

/* A server that has to hold nothing but votes. */
static const char small_settings[] =
"max_connections = 10\n"
"shared_buffers = 2MB\n"
"work_mem = 1MB\n"
"maintenance_work_mem = 1MB\n"
"max_locks_per_transaction = 10\n"
"max_pred_locks_per_transaction = 10\n"
"max_prepared_transactions = 0\n"
"max_replication_slots = 0\n"
"max_logical_replication_workers = 0\n"
"max_worker_processes = 2\n"
"max_parallel_workers = 0\n"
"autovacuum_max_workers = 1\n"
"autovacuum_naptime = 1h\n"
"checkpoint_timeout = 1h\n"
"min_wal_size = 2MB\n"
"max_wal_size = 8MB\n"
"huge_pages = off\n"
"jit = off\n";

static volatile sig_atomic_t interrupted = 0;

static void
interrupt(int signal_number)
{
	(void) signal_number;
	interrupted = 1;
}

static bool
is_interrupted(void *arg)
{
	(void) arg;
	return interrupted != 0;
}

/* ---- files ---- */

/* A text that grows; what does not fit is no file of ours. */
typedef struct Text
{
	char		text[32768];
	size_t		length;
} Text;

static void put(Text *text, const char *format,...) __attribute__((format(printf, 2, 3)));

static void
put(Text *text, const char *format,...)
{
	va_list		args;

	if (text->length >= sizeof(text->text))
		return;
	va_start(args, format);
	text->length += (size_t) vsnprintf(text->text + text->length, sizeof(text->text) - text->length, format, args);
	va_end(args);
}

/* A line of a configuration file; within quotes both quotes and backslashes are doubled. */
static void
put_setting(Text *text, const char *name, size_t name_length, const char *value)
{
	put(text, "%.*s = '", (int) name_length, name);
	for (; *value != '\0'; value++)
		put(text, *value == '\'' || *value == '\\' ? "%c%c" : "%c", *value, *value);
	put(text, "'\n");
}

static bool
write_text(const PghaWitness *witness, const char *name, const Text *text, char *error, size_t error_size)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/%s", witness->data, name);
	if (text->length >= sizeof(text->text))
		return pgha_fail(error, error_size, "file \"%s\" would become too long", path);
	return pgha_write_file(path, text->text, text->length, 0600, true) ||
		pgha_fail(error, error_size, "could not write file \"%s\": %s", path, strerror(errno));
}

/* The settings that stay, or those of the first server, which is no witness yet. */
static bool
write_settings(const PghaWitness *witness, const char *sockets, char *error, size_t error_size)
{
	static Text text;

	text.length = 0;
	put(&text, "# A witness of pgha, made by \"pgha witness init\".\n"
		"shared_preload_libraries = 'pgha'\n"
		"port = %d\nmax_wal_senders = %d\n%s", witness->port,
		witness->voters.voters < 8 ? 16 : 2 * witness->voters.voters, small_settings);
	if (sockets != NULL)
	{
		put(&text, "listen_addresses = ''\n");
		put_setting(&text, "unix_socket_directories", strlen("unix_socket_directories"), sockets);
		return write_text(witness, CONF_FILE, &text, error, error_size);
	}
	put_setting(&text, "listen_addresses", strlen("listen_addresses"), witness->listen);
	put(&text, "\n# As on the members.\n");
	put_setting(&text, "pgha.cluster", strlen("pgha.cluster"), witness->cluster);
	put_setting(&text, "pgha.node", strlen("pgha.node"), witness->node);
	put_setting(&text, "pgha.members", strlen("pgha.members"), witness->members);
	put_setting(&text, "pgha.witnesses", strlen("pgha.witnesses"), witness->witnesses);
	if (witness->conninfo != NULL)
		put_setting(&text, "pgha.conninfo", strlen("pgha.conninfo"), witness->conninfo);
	else
	{
		char		conninfo[PGHA_CONNINFO_SIZE] = "user=pgha";
		char		path[PATH_MAX + 32];

		(void) snprintf(path, sizeof(path), "%s/%s", witness->data, PASS_FILE);
		if (!pgha_conninfo_add(conninfo, sizeof(conninfo), "passfile", path))
			return pgha_fail(error, error_size, "the path of the data directory is too long");
		put_setting(&text, "pgha.conninfo", strlen("pgha.conninfo"), conninfo);
	}
	for (int i = 0; i < witness->setting_count; i++)
	{
		const char *equals = strchr(witness->setting[i], '=');

		put_setting(&text, witness->setting[i], (size_t) (equals - witness->setting[i]), equals + 1);
	}
	return write_text(witness, CONF_FILE, &text, error, error_size);
}

/* libpq's password file: a colon and a backslash are written with a backslash before. */
static bool
write_passfile(const PghaWitness *witness, char *error, size_t error_size)
{
	static Text text;
	bool		done;

	if (witness->conninfo != NULL)
		return true;
	text.length = 0;
	put(&text, "*:*:*:%s:", witness->user);
	for (const char *c = witness->password; *c != '\0'; c++)
		put(&text, *c == ':' || *c == '\\' ? "\\%c" : "%c", *c);
	put(&text, "\n");
	done = write_text(witness, PASS_FILE, &text, error, error_size);
	explicit_bzero(&text, sizeof(text));
	return done;
}

/* An address as pg_hba.conf has it: a single one is a network of its own. */
static void
put_login(Text *text, const PghaWitness *witness, const char *host, size_t length)
{
	bool		numeric = strspn(host, "0123456789.") >= length || memchr(host, ':', length) != NULL;
	const char *mask = !numeric || memchr(host, '/', length) != NULL ? "" : memchr(host, ':', length) != NULL ? "/128" : "/32";

	put(text, "host replication \"%s\" %.*s%s scram-sha-256\n", witness->user, (int) length, host, mask);
}

/* Those who ask for the report, and the owner of the server on this host. */
static bool
write_hba(const PghaWitness *witness, char *error, size_t error_size)
{
	static Text text;

	text.length = 0;
	put(&text, "# TYPE DATABASE USER ADDRESS METHOD\n"
		"local all all peer\n"
		"# The members and witnesses, which read this one's report.\n");
	if (witness->allow == NULL)
	{
		for (int i = 0; i < witness->voters.voters; i++)
			put_login(&text, witness, witness->voters.member[i].host, strlen(witness->voters.member[i].host));
	}
	else
	{
		for (const char *one = witness->allow; *one != '\0';)
		{
			size_t		length = strcspn(one, ", ");

			if (length > 0)
				put_login(&text, witness, one, length);
			one += length + (one[length] != '\0');
		}
	}
	return write_text(witness, "pg_hba.conf", &text, error, error_size);
}

static bool
include_settings(const PghaWitness *witness, char *error, size_t error_size)
{
	static Text text;
	char		path[PATH_MAX + 32];
	char	   *written;

	(void) snprintf(path, sizeof(path), "%s/postgresql.conf", witness->data);
	written = pgha_read_file(path, NULL);
	if (written == NULL)
		return pgha_fail(error, error_size, "could not read file \"%s\": %s", path, strerror(errno));
	text.length = 0;
	if (strlen(written) < sizeof(text.text) - 64)
		put(&text, "%s\ninclude '" CONF_FILE "'\n", written);
	else
		put(&text, "include '" CONF_FILE "'\n");
	free(written);
	return write_text(witness, "postgresql.conf", &text, error, error_size);
}

/* ---- programs ---- */

static bool
find_programs(PghaAgentConf *conf, char *error, size_t error_size)
{
	ssize_t		length = readlink("/proc/self/exe", conf->bin, PATH_MAX - 1);

	if (length <= 0)
		return pgha_fail(error, error_size, "could not find this program's directory: %s", strerror(errno));
	conf->bin[length] = '\0';
	*strrchr(conf->bin, '/') = '\0';
	return true;
}

/* *ours: the directory may hold what it has made; one that ends with an error has cleaned up itself. */
static bool
run_initdb(const PghaWitness *witness, const PghaAgentConf *conf, bool *ours, char *error, size_t error_size)
{
	char		program[PATH_MAX + 32];
	char	   *argv[] = {program, "-D", (char *) witness->data, "--auth-local=peer", "--auth-host=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--wal-segsize=1", "--data-checksums", NULL};
	PghaRun		run = {.argv = argv, .limit_ms = INITDB_LIMIT_MS, .cancelled = is_interrupted};
	int			status;

	(void) snprintf(program, sizeof(program), "%s/initdb", conf->bin);
	status = pgha_run(&run);
	*ours = status == 0 || status > 128 || run.was_cancelled || run.timed_out;
	if (run.was_cancelled)
		return pgha_fail(error, error_size, "interrupted");
	if (run.timed_out)
		return pgha_fail(error, error_size, "initdb did not end within %d seconds", INITDB_LIMIT_MS / 1000);
	return status == 0 || pgha_fail(error, error_size, "initdb ended with status %d: %s", status, run.last);
}

static bool
execute(PGconn *conn, const char *query, char *error, size_t error_size)
{
	PGresult   *result = PQexec(conn, query);
	bool		done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!done)
		(void) pgha_fail(error, error_size, "%s", PQresultErrorMessage(result));
	PQclear(result);
	return done;
}

/* The role that reads reports; its password is known here only as a verifier. */
static bool
create_role(const PghaWitness *witness, PGconn *conn, char *error, size_t error_size)
{
	char		query[2048];
	char	   *name = PQescapeIdentifier(conn, witness->user, strlen(witness->user));
	char	   *verifier = NULL;
	char	   *literal = NULL;
	bool		done = name != NULL;

	if (done && witness->password[0] != '\0')
	{
		verifier = PQencryptPasswordConn(conn, witness->password, witness->user, "scram-sha-256");
		literal = verifier != NULL ? PQescapeLiteral(conn, verifier, strlen(verifier)) : NULL;
		done = literal != NULL;
	}
	if (!done)
		(void) pgha_fail(error, error_size, "could not encrypt the password: %s", PQerrorMessage(conn));
	else
	{
		(void) snprintf(query, sizeof(query), "CREATE ROLE %s LOGIN REPLICATION%s%s", name,
						literal != NULL ? " PASSWORD " : "", literal != NULL ? literal : "");
		done = execute(conn, query, error, error_size);
	}
	PQfreemem(name);
	PQfreemem(verifier);
	PQfreemem(literal);
	return done;
}

/* What is set for other sessions must not lead to another server, nor must the one here start with it. */
static void
forget_environment(void)
{
	PQconninfoOption *options = PQconndefaults();

	for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
		if (option->envvar != NULL)
			(void) unsetenv(option->envvar);
	PQconninfoFree(options);
	(void) unsetenv("PGSERVICE");
	(void) unsetenv("PGHOSTADDR");
}

static bool
fill_database(const PghaWitness *witness, const char *sockets, char *error, size_t error_size)
{
	struct passwd *owner = getpwuid(geteuid());
	char		port[16];
	const char *names[] = {"host", "port", "user", "dbname", "connect_timeout", "options", "client_encoding", NULL};
	const char *values[] = {sockets, port, owner != NULL ? owner->pw_name : "", "postgres", "10", "", "UTF8", NULL};
	PGconn	   *conn;
	bool		done;

	(void) snprintf(port, sizeof(port), "%d", witness->port);
	conn = pgha_connect_quietly(names, values, 0, NULL);
	done = PQstatus(conn) == CONNECTION_OK ||
		pgha_fail(error, error_size, "%s", PQerrorMessage(conn));
	done = done && execute(conn, "CREATE EXTENSION pgha", error, error_size) &&
		create_role(witness, conn, error, error_size);
	PQfinish(conn);
	return done;
}

/* ---- all of it ---- */

/* A server that runs on the directory must be gone before that goes. */
static bool
start_server(const PghaAgentConf *conf, char *error, size_t error_size)
{
	return pgha_server_start(conf, START_LIMIT_MS, is_interrupted, NULL, error, error_size);
}

static bool
stop_server(const PghaAgentConf *conf, char *error, size_t error_size)
{
	return pgha_server_stop(conf, "fast", START_LIMIT_MS, NULL, NULL, error, error_size);
}

/* The first server: not seen by anybody, it makes what is in the database. */
static bool
make_role(const PghaWitness *witness, const PghaAgentConf *conf, char *error, size_t error_size)
{
	char		sockets[] = "/tmp/pgha-witness-XXXXXX";
	bool		done;

	if (mkdtemp(sockets) == NULL)
		return pgha_fail(error, error_size, "could not make a directory in /tmp: %s", strerror(errno));
	done = write_settings(witness, sockets, error, error_size) &&
		start_server(conf, error, error_size) &&
		fill_database(witness, sockets, error, error_size) &&
		stop_server(conf, error, error_size);
	if (!done)
	{
		char		ignored[256];

		(void) stop_server(conf, ignored, sizeof(ignored));
	}
	(void) pgha_remove_tree(sockets, true);
	return done;
}

static bool
make(const PghaWitness *witness, PghaAgentConf *conf, bool start, bool *ours, char *error, size_t error_size)
{
	return run_initdb(witness, conf, ours, error, error_size) &&
		write_passfile(witness, error, error_size) &&
		write_hba(witness, error, error_size) &&
		include_settings(witness, error, error_size) &&
		make_role(witness, conf, error, error_size) &&
		write_settings(witness, NULL, error, error_size) &&
		start_server(conf, error, error_size) &&
		(start || stop_server(conf, error, error_size));
}

/* False with a sentence in `error` unless there is nothing, or an empty directory. */
static bool
is_free(const char *path, bool *exists, char *error, size_t error_size)
{
	DIR		   *directory = opendir(path);
	struct dirent *entry;
	bool		empty = true;

	*exists = directory != NULL;
	if (directory == NULL)
		return errno == ENOENT ||
			pgha_fail(error, error_size, "directory \"%s\" cannot be used: %s", path, strerror(errno));
	errno = 0;
	while ((entry = readdir(directory)) != NULL)
		empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	empty &= errno == 0;
	(void) closedir(directory);
	return empty ||
		pgha_fail(error, error_size, pgha_exists_in(path, CONF_FILE) ? "directory \"%s\" is a witness already" :
				  "directory \"%s\" is not empty", path);
}

bool
pgha_witness_make(const PghaWitness *witness, bool start, bool *left, char *error, size_t error_size)
{
	static PghaAgentConf conf;
	struct sigaction action = {.sa_handler = interrupt};
	char		ignored[256];
	bool		existed;
	bool		ours = false;

	*left = false;
	if (!is_free(witness->data, &existed, error, error_size) || !find_programs(&conf, error, error_size))
		return false;
	(void) snprintf(conf.data, sizeof(conf.data), "%s", witness->data);
	if (snprintf(conf.config_file, sizeof(conf.config_file), "%s/postgresql.conf", witness->data) >= (int) sizeof(conf.config_file) ||
		snprintf(conf.server_log, sizeof(conf.server_log), "%s/" LOG_FILE, witness->data) >= (int) sizeof(conf.server_log))
		return pgha_fail(error, error_size, "the path of the data directory is too long");

	(void) sigaction(SIGINT, &action, NULL);
	(void) sigaction(SIGTERM, &action, NULL);
	(void) sigaction(SIGHUP, &action, NULL);
	forget_environment();
	if (make(witness, &conf, start, &ours, error, error_size))
		return true;
	if (interrupted)
		(void) pgha_fail(error, error_size, "interrupted");

	/*
	 * What was free before is free again; but not under a server that does not end, and
	 * not what somebody else has made there meanwhile.
	 */
	*left = ours && !(stop_server(&conf, ignored, sizeof(ignored)) && pgha_remove_tree(witness->data, !existed));
	return false;
}
