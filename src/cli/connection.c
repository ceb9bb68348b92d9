/*
 * connection.c
 *		Connections to servers, and questions asked there, for the subcommands for people.
 *
 * Error messages have psql's form: what, DETAIL, HINT.  Nobody is ever asked
 * for a password.
 *
 * It connects to where it is told, asks, and prints errors; which server is meant is
 * its callers' business (client.c, here.c).  Not for the agent or the server, which log
 * instead of printing.
 */
#include "connection.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "../net/connect.h"
#include "../net/session_settings.h"

/* Where no other is set, in seconds: a frozen host must not keep us. */
#define CONNECT_TIMEOUT "5"
#define READ_LIMIT_MS	15000

bool
pgha_is_conninfo(const char *text)
{
	return strchr(text, '=') != NULL || strncmp(text, "postgres://", 11) == 0 ||
		strncmp(text, "postgresql://", 13) == 0;
}

/* ---- errors ---- */

/* Puts what libpq says of a connection. */
static void
put_connection_error(PGconn *conn, FILE *errors)
{
	fputs("pgha: error: ", errors);
	pgha_put(PQerrorMessage(conn), errors);
}

static void
print_field(const PGresult *result, int field, const char *title, FILE *errors)
{
	const char *text = PQresultErrorField(result, field);

	if (text != NULL)
	{
		fputs(title, errors);
		fputs(":  ", errors);
		pgha_put(text, errors);
		fputc('\n', errors);
	}
}

/*
 * Prints the server's hint.  It names a function; whoever has called the program
 * is told the program's own command.
 */
static void
print_hint(const PGresult *result, FILE *errors)
{
	static const char *const command[][2] = {
		{"pgha_promote(force => true)", "pgha promote --force"},
		{"pgha_promote()", "pgha promote"},
	};
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	for (size_t i = 0; text != NULL && i < sizeof(command) / sizeof(command[0]); i++)
	{
		const char *at = strstr(text, command[i][0]);

		if (at != NULL)
		{
			char		hint[1024];

			(void) snprintf(hint, sizeof(hint), "HINT:  %.*s%s%s\n", (int) (at - text), text, command[i][1], at + strlen(command[i][0]));
			pgha_put(hint, errors);
			return;
		}
	}
	print_field(result, PG_DIAG_MESSAGE_HINT, "HINT", errors);
}

void
pgha_client_print_error(PGconn *conn, const PGresult *result, FILE *errors)
{
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (primary == NULL)
	{
		put_connection_error(conn, errors);
		return;
	}
	fputs("pgha: error: ", errors);
	pgha_put(primary, errors);
	fputc('\n', errors);
	print_field(result, PG_DIAG_MESSAGE_DETAIL, "DETAIL", errors);
	print_hint(result, errors);
	if (sqlstate != NULL && strcmp(sqlstate, "42501") == 0 &&
		PQresultErrorField(result, PG_DIAG_MESSAGE_HINT) == NULL)
		fprintf(errors, "HINT:  Members of pg_monitor may call the functions that read; for those that act"
				" run SELECT pgha_setup_operator('ROLE'); on the primary.\n");
}

/* ---- connecting ---- */

#define MAX_PARAMETERS	64

static bool wait_for_answer(PGconn *conn, int limit_ms, FILE *errors);

typedef struct Parameters
{
	int			count;
	const char *keyword[MAX_PARAMETERS + 1];
	const char *value[MAX_PARAMETERS + 1];
} Parameters;

/* Sets a parameter, replacing an earlier value; NULL is no value. */
static void
set_parameter(Parameters *parameters, const char *keyword, const char *value)
{
	int			i = 0;

	if (value == NULL)
		return;
	while (i < parameters->count && strcmp(parameters->keyword[i], keyword) != 0)
		i++;
	if (i == MAX_PARAMETERS)
		return;
	if (i == parameters->count)
		parameters->count++;
	parameters->keyword[i] = keyword;
	parameters->value[i] = value;
}

/*
 * Adds a connection string or the name of a database.  *parsed must live as
 * long as the parameters.
 */
static bool
add_database(Parameters *parameters, const char *text, PQconninfoOption **parsed, FILE *errors)
{
	char	   *error = NULL;

	if (text == NULL)
		return true;
	if (!pgha_is_conninfo(text))
	{
		set_parameter(parameters, "dbname", text);
		return true;
	}
	*parsed = PQconninfoParse(text, &error);
	if (*parsed == NULL)
	{
		pgha_error(errors, NULL, "%.*s", error != NULL ? (int) strcspn(error, "\n") : 13, error != NULL ? error : "out of memory");
		PQfreemem(error);
		return false;
	}
	for (PQconninfoOption *option = *parsed; option->keyword != NULL; option++)
		set_parameter(parameters, option->keyword, option->val);
	return true;
}

static bool
has_parameter(const Parameters *parameters, const char *keyword)
{
	for (int i = 0; i < parameters->count; i++)
		if (strcmp(parameters->keyword[i], keyword) == 0)
			return true;
	return false;
}

static const char *
get_parameter(const Parameters *parameters, const char *keyword, const char *variable)
{
	for (int i = 0; i < parameters->count; i++)
		if (strcmp(parameters->keyword[i], keyword) == 0)
			return parameters->value[i];
	return getenv(variable);
}

/* Parameters for what the options say; false after an error message. */
static bool
make_parameters(const PghaClientOptions *options, Parameters *parameters, PQconninfoOption *parsed[2], FILE *errors)
{
	if (!add_database(parameters, options->conninfo, &parsed[0], errors) ||
		!add_database(parameters, options->dbname, &parsed[1], errors))
		return false;
	set_parameter(parameters, "host", options->host);
	set_parameter(parameters, "port", options->port);
	set_parameter(parameters, "user", options->user);
	set_parameter(parameters, "requirepeer", options->peer);
	if (!has_parameter(parameters, "dbname") && !has_parameter(parameters, "service") &&
		getenv("PGDATABASE") == NULL && getenv("PGSERVICE") == NULL)
		set_parameter(parameters, "dbname", "postgres");
	if (!has_parameter(parameters, "connect_timeout") && getenv("PGCONNECT_TIMEOUT") == NULL)
		set_parameter(parameters, "connect_timeout", CONNECT_TIMEOUT);

	/* An answer may take as long as it takes; a host that is gone does not send one. */
	if (!has_parameter(parameters, "keepalives_idle"))
	{
		set_parameter(parameters, "keepalives_idle", "10");
		set_parameter(parameters, "keepalives_interval", "5");
		set_parameter(parameters, "keepalives_count", "3");
	}
	set_parameter(parameters, "client_encoding", "UTF8");
	set_parameter(parameters, "fallback_application_name", "pgha");
	return true;
}

/* Did a server answer, and let us not in?  While it starts or stops it lets in nobody. */
static bool
was_refused(const char *message)
{
	const char *fatal = strstr(message, "FATAL:");

	return fatal != NULL && strstr(fatal, "the database system is ") == NULL && strstr(fatal, "not accepting connections") == NULL;
}

/* Connects; NULL after an error message. */
static PGconn *
connect_with(const Parameters *parameters, PghaFailure *failure, FILE *errors)
{
	PGconn	   *conn = pgha_connect_quietly(parameters->keyword, parameters->value, 0, errors);

	if (conn != NULL && PQstatus(conn) == CONNECTION_OK)
		return conn;
	*failure = PGHA_FAILED_OTHERWISE;
	if (conn == NULL)
	{
		pgha_error(errors, NULL, "out of memory");
		return NULL;
	}
	put_connection_error(conn, errors);
	*failure = PGHA_NOT_REACHED;
	if (PQconnectionNeedsPassword(conn))
	{
		*failure = PGHA_REFUSED;
		fprintf(errors, "HINT:  Put the password into a password file (~/.pgpass or PGPASSFILE).\n");
	}
	else if (was_refused(PQerrorMessage(conn)))
		*failure = PGHA_REFUSED;
	PQfinish(conn);
	return NULL;
}

bool
pgha_client_settle(PGconn *conn, FILE *errors)
{
	static const char *const queries[] = {PGHA_SESSION_QUERY, PGHA_SESSION_QUERY_OF_17};
	bool		settled = true;

	for (int i = 0; settled && i < (PQserverVersion(conn) >= 170000 ? 2 : 1); i++)
	{
		PGresult   *result;

		if (!PQsendQuery(conn, queries[i]))
		{
			put_connection_error(conn, errors);
			return false;
		}

		/* One result for each SET; each may have to be waited for. */
		while (settled && (settled = wait_for_answer(conn, READ_LIMIT_MS, errors)) &&
			   (result = PQgetResult(conn)) != NULL)
		{
			settled = PQresultStatus(result) == PGRES_COMMAND_OK;
			if (!settled)
				pgha_client_print_error(conn, result, errors);
			PQclear(result);
		}
	}
	return settled;
}

/* Makes the extension's functions known to the session; the extension may be in any schema. */
static PGconn *
find_extension(PGconn *conn, FILE *errors)
{
	char	   *found = !pgha_client_settle(conn, errors) ? NULL :
		pgha_client_try_query(conn,
											  "SELECT coalesce((SELECT pg_catalog.set_config('search_path',"
											  "   'pg_catalog, ' || pg_catalog.quote_ident(n.nspname), false)"
											  " FROM pg_catalog.pg_extension e"
											  " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
											  " WHERE e.extname = 'pgha'), '')", NULL, READ_LIMIT_MS, errors);

	if (found != NULL && *found != '\0')
	{
		free(found);
		return conn;
	}
	if (found != NULL)
		pgha_error(errors, "Run CREATE EXTENSION pgha; there on the primary, or name another database with -d.",
				   "the extension pgha is not in database \"%s\"", PQdb(conn));
	free(found);
	PQfinish(conn);
	return NULL;
}

bool
pgha_connection_valid(const PghaClientOptions *options)
{
	Parameters	parameters = {.count = 0};
	PQconninfoOption *parsed[2] = {NULL, NULL};
	bool		valid = make_parameters(options, &parameters, parsed, stderr);

	PQconninfoFree(parsed[0]);
	PQconninfoFree(parsed[1]);
	return valid;
}

PGconn *
pgha_connection_open(const PghaClientOptions *options, const PghaPlace *place, PghaFailure *failure, FILE *errors)
{
	Parameters	parameters = {.count = 0};
	PQconninfoOption *parsed[2] = {NULL, NULL};
	PGconn	   *conn = NULL;

	*failure = PGHA_FAILED_OTHERWISE;
	if (make_parameters(options, &parameters, parsed, errors))
	{
		if (place != NULL)
		{
			set_parameter(&parameters, "host", place->host);
			set_parameter(&parameters, "hostaddr", place->hostaddr);
			set_parameter(&parameters, "port", place->port);
			set_parameter(&parameters, "target_session_attrs", "any");
		}
		conn = connect_with(&parameters, failure, errors);
	}
	PQconninfoFree(parsed[0]);
	PQconninfoFree(parsed[1]);
	return conn != NULL ? find_extension(conn, errors) : NULL;
}

bool
pgha_connection_has_hosts(const PghaClientOptions *options)
{
	Parameters	parameters = {.count = 0};
	PQconninfoOption *parsed[2] = {NULL, NULL};
	FILE	   *nowhere = fopen("/dev/null", "w");
	const char *host = NULL;
	bool		several;

	if (nowhere != NULL && make_parameters(options, &parameters, parsed, nowhere))
		host = get_parameter(&parameters, "host", "PGHOST");
	several = host != NULL && strchr(host, ',') != NULL;
	PQconninfoFree(parsed[0]);
	PQconninfoFree(parsed[1]);
	if (nowhere != NULL)
		(void) fclose(nowhere);
	return several;
}

PGconn *
pgha_connection_open_primary(const PghaClientOptions *options, FILE *nowhere)
{
	Parameters	parameters = {.count = 0};
	PQconninfoOption *parsed[2] = {NULL, NULL};
	PGconn	   *conn = NULL;
	PghaFailure failure;
	const char *host;

	if (make_parameters(options, &parameters, parsed, nowhere))
	{
		host = get_parameter(&parameters, "host", "PGHOST");
		set_parameter(&parameters, "target_session_attrs", "primary");
		if (host != NULL && strchr(host, ',') != NULL)
			conn = connect_with(&parameters, &failure, nowhere);
	}
	PQconninfoFree(parsed[0]);
	PQconninfoFree(parsed[1]);
	return conn != NULL ? find_extension(conn, nowhere) : NULL;
}

bool
pgha_client_split_address(char *address, PghaPlace *place)
{
	char	   *colon = strrchr(address, ':');

	if (colon == NULL)
		return false;
	*colon = '\0';
	place->port = colon + 1;
	place->host = address;
	place->hostaddr = "";
	if (address[0] == '[' && colon > address && colon[-1] == ']')
	{
		colon[-1] = '\0';
		place->host = address + 1;
	}
	return true;
}

/* ---- queries ---- */

/* Waits for the answer; false after an error message. */
static bool
wait_for_answer(PGconn *conn, int limit_ms, FILE *errors)
{
	long long	deadline = pgha_awake_ms() + limit_ms;

	while (PQisBusy(conn))
	{
		struct pollfd set = {.fd = PQsocket(conn), .events = POLLIN};
		long long	left = limit_ms > 0 ? deadline - pgha_awake_ms() : -1;

		if (limit_ms > 0 && left <= 0)
		{
			pgha_error(errors, "It may be frozen; ask another member.",
					   "the server has not answered for %d seconds", limit_ms / 1000);
			return false;
		}
		if (poll(&set, 1, (int) left) > 0 && !PQconsumeInput(conn))
		{
			put_connection_error(conn, errors);
			return false;
		}
	}
	return true;
}

char *
pgha_client_try_query(PGconn *conn, const char *query, const char *parameter, int limit_ms, FILE *errors)
{
	const char *const values[] = {parameter};
	PGresult   *result;
	char	   *value = NULL;

	if (!PQsendQueryParams(conn, query, parameter != NULL ? 1 : 0, NULL, values, NULL, NULL, 0))
	{
		put_connection_error(conn, errors);
		return NULL;
	}
	if (!wait_for_answer(conn, limit_ms, errors))
		return NULL;

	result = PQgetResult(conn);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		pgha_client_print_error(conn, result, errors);
	else if (PQntuples(result) != 1 || PQnfields(result) != 1)
		pgha_error(errors, NULL, "the server's answer is not of the form expected");
	else if ((value = strdup(PQgetvalue(result, 0, 0))) != NULL)
		(void) pgha_shown(value, true);
	else
		pgha_error(errors, NULL, "out of memory");
	PQclear(result);
	while ((result = PQgetResult(conn)) != NULL)
		PQclear(result);
	return value;
}

bool
pgha_client_may_ask_again(PGconn *conn)
{
	return PQstatus(conn) == CONNECTION_OK && PQtransactionStatus(conn) == PQTRANS_IDLE;
}

/* Is it a name that any of our queries gives? */
static bool
is_key(const char *key)
{
	return strspn(key, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(key);
}

/* Cleans the texts in a value; what does not have a name of ours goes. */
static void
clean_json(json_t *value)
{
	void	   *next;
	const char *key;
	size_t		index;
	json_t	   *part;

	if (json_is_string(value))
	{
		char	   *text = strdup(json_string_value(value));

		(void) json_string_set(value, text != NULL ? pgha_shown(text, true) : "");
		free(text);
	}
	json_array_foreach(value, index, part)
		clean_json(part);
	if (!json_is_object(value))
		return;
	json_object_foreach_safe(value, next, key, part)
	{
		if (is_key(key))
			clean_json(part);
		else
			(void) json_object_del(value, key);
	}
}

json_t *
pgha_client_json(const char *text, json_error_t *error)
{
	char	   *copy = strdup(text);
	json_t	   *value = copy != NULL ? json_loads(pgha_shown(copy, true), 0, error) : NULL;

	free(copy);
	clean_json(value);
	return value;
}

json_t *
pgha_client_try_query_json(PGconn *conn, const char *query, const char *parameter, int limit_ms, FILE *errors)
{
	char	   *text = pgha_client_try_query(conn, query, parameter, limit_ms, errors);
	json_error_t error;
	json_t	   *value;

	if (text == NULL)
		return NULL;
	value = pgha_client_json(text, &error);
	if (value == NULL)
		pgha_error(errors, NULL, "the server's answer cannot be read: %s", error.text);
	free(text);
	return value;
}

char *
pgha_client_query(PGconn *conn, const char *query, const char *parameter, int limit_ms)
{
	return pgha_client_try_query(conn, query, parameter, limit_ms, stderr);
}

json_t *
pgha_client_query_json(PGconn *conn, const char *query, const char *parameter)
{
	return pgha_client_try_query_json(conn, query, parameter, READ_LIMIT_MS, stderr);
}
