/*
 * setup_server.c
 *		PostgreSQL's programs and its server, for the commands that set up a node.
 *
 * For `pgha create`, `pgha join`, `pgha leave` and `pgha witness init`; run as the
 * owner of the server.  No program is run through a shell, each has a limit, and a
 * password is in no command line and no query.
 */
#include "setup_server.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/errors.h"
#include "../host/process.h"
#include "../host/server_ctl.h"
#include "../net/connect.h"

#define INITDB_LIMIT_MS		120000
#define MAX_MORE			8

static volatile sig_atomic_t interrupted = 0;

static void
interrupt(int signal_number)
{
	(void) signal_number;
	interrupted = 1;
}

void
pgha_setup_catch_signals(void)
{
	struct sigaction action = {.sa_handler = interrupt};

	(void) sigaction(SIGINT, &action, NULL);
	(void) sigaction(SIGTERM, &action, NULL);
	(void) sigaction(SIGHUP, &action, NULL);
}

bool
pgha_setup_interrupted(void *arg)
{
	(void) arg;
	return interrupted != 0;
}

void
pgha_setup_forget_environment(void)
{
	PQconninfoOption *options = PQconndefaults();

	for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
		if (option->envvar != NULL)
			(void) unsetenv(option->envvar);
	PQconninfoFree(options);
	(void) unsetenv("PGSERVICE");
	(void) unsetenv("PGHOSTADDR");
}

/* ---- programs ---- */

bool
pgha_setup_find_programs(PghaAgentConf *conf, char *error, size_t error_size)
{
	ssize_t		length = readlink("/proc/self/exe", conf->bin, PATH_MAX - 1);

	if (length <= 0)
		return pgha_fail(error, error_size, "could not find this program's directory: %s", strerror(errno));
	conf->bin[length] = '\0';
	*strrchr(conf->bin, '/') = '\0';
	return true;
}

bool
pgha_setup_initdb(const PghaAgentConf *conf, const char *data, const char *const *more, bool *ours,
				  char *error, size_t error_size)
{
	char		program[PATH_MAX + 32];
	char	   *argv[6 + MAX_MORE] = {program, "-D", (char *) data, "--auth-local=peer", "--auth-host=scram-sha-256"};
	PghaRun		run = {.argv = argv, .limit_ms = INITDB_LIMIT_MS, .cancelled = pgha_setup_interrupted};
	int			status;

	for (int i = 0; i < MAX_MORE && more[i] != NULL; i++)
		argv[5 + i] = (char *) more[i];
	(void) snprintf(program, sizeof(program), "%s/initdb", conf->bin);
	status = pgha_run(&run);
	*ours = status == 0 || status > 128 || run.was_cancelled || run.timed_out;
	if (run.was_cancelled)
		return pgha_fail(error, error_size, "interrupted");
	if (run.timed_out)
		return pgha_fail(error, error_size, "initdb did not end within %d seconds", INITDB_LIMIT_MS / 1000);
	return status == 0 || pgha_fail(error, error_size, "initdb ended with status %d: %s", status, run.last);
}

typedef struct Answer
{
	char	   *value;
	size_t		size;
} Answer;

/* Warnings come first. */
static void
keep_line(const char *line, void *arg)
{
	Answer	   *answer = arg;

	(void) snprintf(answer->value, answer->size, "%s", line);
}

bool
pgha_setup_setting(const PghaAgentConf *conf, const char *name, char *value, size_t size,
				   char *error, size_t error_size)
{
	char		program[PATH_MAX + 32];
	char		option[PATH_MAX + 32];
	/* Where the file is elsewhere it says where the data are, which need not be there yet. */
	char	   *outside[] = {program, "-c", option, "-C", (char *) name, NULL};
	char	   *inside[] = {program, "-D", (char *) conf->data, "-C", (char *) name, NULL};
	char	  **argv = conf->config_outside ? outside : inside;
	Answer		answer = {value, size};
	PghaRun		run = {.argv = argv, .limit_ms = PGHA_SETUP_LIMIT_MS, .line = keep_line, .arg = &answer};

	value[0] = '\0';
	(void) snprintf(program, sizeof(program), "%s/postgres", conf->bin);
	(void) snprintf(option, sizeof(option), "config_file=%s", conf->config_file);
	if (pgha_run(&run) == 0)
		return true;
	value[0] = '\0';
	/* Of an extension that is not loaded, and not in the files either. */
	return (strchr(name, '.') != NULL && strstr(run.last, "unrecognized configuration parameter") != NULL) ||
		pgha_fail(error, error_size, "the configuration cannot be read: %s", run.last);
}

bool
pgha_setup_start(const PghaAgentConf *conf, char *error, size_t error_size)
{
	return pgha_server_start(conf, PGHA_SETUP_LIMIT_MS, pgha_setup_interrupted, NULL, error, error_size);
}

bool
pgha_setup_stop(const PghaAgentConf *conf, char *error, size_t error_size)
{
	return pgha_server_stop(conf, "fast", PGHA_SETUP_LIMIT_MS, NULL, NULL, error, error_size);
}

/* ---- the database ---- */

PGconn *
pgha_setup_connect(const char *sockets, int port, char *error, size_t error_size)
{
	struct passwd *owner = getpwuid(geteuid());
	char		text[16];
	const char *names[] = {"host", "port", "user", "dbname", "connect_timeout", "options", "client_encoding", "application_name", NULL};
	const char *values[] = {sockets, text, owner != NULL ? owner->pw_name : "", "postgres", "10", "", "UTF8", "pgha", NULL};
	PGconn	   *conn;

	(void) snprintf(text, sizeof(text), "%d", port);
	conn = pgha_connect_quietly(names, values, 0, NULL);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	(void) pgha_fail(error, error_size, "%s", PQerrorMessage(conn));
	PQfinish(conn);
	return NULL;
}

bool
pgha_setup_execute(PGconn *conn, const char *query, char *error, size_t error_size)
{
	PGresult   *result = PQexec(conn, query);
	bool		done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!done)
		(void) pgha_fail(error, error_size, "%s", PQresultErrorMessage(result));
	PQclear(result);
	return done;
}

bool
pgha_setup_value(PGconn *conn, const char *query, const char *parameter, char *value, size_t size,
				 char *error, size_t error_size)
{
	PGresult   *result = PQexecParams(conn, query, parameter != NULL ? 1 : 0, NULL, &parameter, NULL, NULL, 0);
	bool		done = PQresultStatus(result) == PGRES_TUPLES_OK;

	value[0] = '\0';
	if (!done)
		(void) pgha_fail(error, error_size, "%s", PQresultErrorMessage(result));
	else if (PQntuples(result) > 0)
		done = snprintf(value, size, "%s", PQgetvalue(result, 0, 0)) < (int) size ||
			pgha_fail(error, error_size, "an answer of the server is too long");
	PQclear(result);
	return done;
}

bool
pgha_setup_role(PGconn *conn, const char *user, const char *password, bool exists, char *error, size_t error_size)
{
	char		query[2048];
	char	   *name = PQescapeIdentifier(conn, user, strlen(user));
	char	   *verifier = NULL;
	char	   *literal = NULL;
	bool		done = name != NULL;

	if (done && password[0] != '\0')
	{
		verifier = PQencryptPasswordConn(conn, password, user, "scram-sha-256");
		literal = verifier != NULL ? PQescapeLiteral(conn, verifier, strlen(verifier)) : NULL;
		done = literal != NULL;
	}
	if (!done)
		(void) pgha_fail(error, error_size, "could not encrypt the password: %s", PQerrorMessage(conn));
	else
	{
		(void) snprintf(query, sizeof(query), "%s ROLE %s LOGIN REPLICATION%s%s", exists ? "ALTER" : "CREATE", name,
						literal != NULL ? " PASSWORD " : "", literal != NULL ? literal : "");
		done = pgha_setup_execute(conn, query, error, error_size);
	}
	PQfreemem(name);
	PQfreemem(verifier);
	PQfreemem(literal);
	return done;
}
