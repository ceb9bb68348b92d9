/*
 * client.c
 *		A session with a member's SQL functions, for the subcommands for people.
 *
 * Error messages have psql's form: what, DETAIL, HINT.  Nobody is ever asked
 * for a password.
 */
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "program.h"

/* Where no other is set, in seconds: a frozen host must not keep us. */
#define CONNECT_TIMEOUT "5"
#define READ_LIMIT_MS	15000

#define DEFAULT_LIMIT	50

/* ---- options ---- */

static bool
parse_limit(const char *text, int *limit)
{
	char	   *end;
	long		value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < 1 || value > 1000000)
		return false;
	*limit = (int) value;
	return true;
}

bool
pgha_client_options(int argc, char **argv, int allowed, PghaClientOptions *options)
{
	static const struct option known[] = {
		{"host", required_argument, NULL, 'h'},
		{"port", required_argument, NULL, 'p'},
		{"username", required_argument, NULL, 'U'},
		{"dbname", required_argument, NULL, 'd'},
		{"json", no_argument, NULL, 'j'},
		{"limit", required_argument, NULL, 'n'},
		{"force", no_argument, NULL, 'f'},
		{NULL, 0, NULL, 0}
	};
	int			c;

	memset(options, 0, sizeof(*options));
	options->limit = DEFAULT_LIMIT;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h:p:U:d:jn:f", known, NULL)) != -1)
	{
		if ((c == 'j' && (allowed & PGHA_OPTION_JSON) == 0) ||
			(c == 'n' && (allowed & PGHA_OPTION_LIMIT) == 0) ||
			(c == 'f' && (allowed & PGHA_OPTION_FORCE) == 0))
			c = '?';
		switch (c)
		{
			case 'h':
				options->host = optarg;
				break;
			case 'p':
				options->port = optarg;
				break;
			case 'U':
				options->user = optarg;
				break;
			case 'd':
				options->dbname = optarg;
				break;
			case 'j':
				options->json = true;
				break;
			case 'f':
				options->force = true;
				break;
			case 'n':
				if (!parse_limit(optarg, &options->limit))
				{
					pgha_usage_error(argv[0], "limit \"%s\" is not a number from 1 to 1000000", optarg);
					return false;
				}
				break;
			case ':':
				pgha_usage_error(argv[0], "option \"%s\" needs a value", argv[optind - 1]);
				return false;
			default:
				pgha_usage_error(argv[0], "\"%s\" is not an option of \"pgha %s\"",
								 argv[optind - 1], argv[0]);
				return false;
		}
	}
	if (optind < argc)
		options->conninfo = argv[optind++];
	if (optind < argc)
	{
		pgha_usage_error(argv[0], "too many arguments, the first of them \"%s\"", argv[optind]);
		return false;
	}
	return true;
}

/* ---- errors ---- */

static void
print_field(const PGresult *result, int field, const char *title)
{
	const char *text = PQresultErrorField(result, field);

	if (text != NULL)
		fprintf(stderr, "%s:  %s\n", title, text);
}

static void
print_result_error(PGconn *conn, const PGresult *result)
{
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (primary == NULL)
	{
		fprintf(stderr, "pgha: error: %s", PQerrorMessage(conn));
		return;
	}
	fprintf(stderr, "pgha: error: %s\n", primary);
	print_field(result, PG_DIAG_MESSAGE_DETAIL, "DETAIL");
	print_field(result, PG_DIAG_MESSAGE_HINT, "HINT");
	if (sqlstate != NULL && strcmp(sqlstate, "42501") == 0 &&
		PQresultErrorField(result, PG_DIAG_MESSAGE_HINT) == NULL)
		fprintf(stderr, "HINT:  Members of pg_monitor may call the functions that read; those that act"
				" must be granted to a role that is not a superuser.\n");
}

/* ---- connecting ---- */

#define MAX_PARAMETERS	64

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

static bool
is_conninfo(const char *text)
{
	return strchr(text, '=') != NULL || strncmp(text, "postgres://", 11) == 0 ||
		strncmp(text, "postgresql://", 13) == 0;
}

/*
 * Adds a connection string or the name of a database.  *parsed must live as
 * long as the parameters.
 */
static bool
add_database(Parameters *parameters, const char *text, PQconninfoOption **parsed)
{
	char	   *error = NULL;

	if (text == NULL)
		return true;
	if (!is_conninfo(text))
	{
		set_parameter(parameters, "dbname", text);
		return true;
	}
	*parsed = PQconninfoParse(text, &error);
	if (*parsed == NULL)
	{
		fprintf(stderr, "pgha: error: %s", error != NULL ? error : "out of memory\n");
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

static PGconn *
connect_member(const PghaClientOptions *options)
{
	Parameters	parameters = {.count = 0};
	PQconninfoOption *parsed[2] = {NULL, NULL};
	PGconn	   *conn = NULL;

	if (add_database(&parameters, options->conninfo, &parsed[0]) &&
		add_database(&parameters, options->dbname, &parsed[1]))
	{
		set_parameter(&parameters, "host", options->host);
		set_parameter(&parameters, "port", options->port);
		set_parameter(&parameters, "user", options->user);
		if (!has_parameter(&parameters, "dbname") && !has_parameter(&parameters, "service") &&
			getenv("PGDATABASE") == NULL && getenv("PGSERVICE") == NULL)
			set_parameter(&parameters, "dbname", "postgres");
		if (!has_parameter(&parameters, "connect_timeout") && getenv("PGCONNECT_TIMEOUT") == NULL)
			set_parameter(&parameters, "connect_timeout", CONNECT_TIMEOUT);
		set_parameter(&parameters, "client_encoding", "UTF8");
		set_parameter(&parameters, "fallback_application_name", "pgha");

		conn = PQconnectdbParams(parameters.keyword, parameters.value, 0);
		if (conn == NULL)
			fprintf(stderr, "pgha: error: out of memory\n");
		else if (PQstatus(conn) != CONNECTION_OK)
		{
			fprintf(stderr, "pgha: error: %s", PQerrorMessage(conn));
			if (PQconnectionNeedsPassword(conn))
				fprintf(stderr, "HINT:  Put the password into a password file (~/.pgpass or PGPASSFILE).\n");
			else if (!has_parameter(&parameters, "host") || strchr(PQhost(conn), ',') == NULL)
				fprintf(stderr, "HINT:  Any member can be asked: pgha ... 'host=db-1,db-2,db-3'.\n");
			PQfinish(conn);
			conn = NULL;
		}
	}
	PQconninfoFree(parsed[0]);
	PQconninfoFree(parsed[1]);
	return conn;
}

PGconn *
pgha_client_connect(const PghaClientOptions *options)
{
	PGconn	   *conn = connect_member(options);
	char	   *found;

	if (conn == NULL)
		return NULL;

	/* The extension may be in any schema. */
	found = pgha_client_query(conn,
							  "SELECT coalesce((SELECT pg_catalog.set_config('search_path',"
							  "   'pg_catalog, ' || pg_catalog.quote_ident(n.nspname), false)"
							  " FROM pg_catalog.pg_extension e"
							  " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
							  " WHERE e.extname = 'pgha'), '')", NULL, READ_LIMIT_MS);
	if (found != NULL && *found != '\0')
	{
		free(found);
		return conn;
	}
	if (found != NULL)
		fprintf(stderr, "pgha: error: the extension pgha is not in database \"%s\"\n"
				"HINT:  Run CREATE EXTENSION pgha; there on the primary, or name another database with -d.\n",
				PQdb(conn));
	free(found);
	PQfinish(conn);
	return NULL;
}

/* ---- queries ---- */

static long long
clock_ms(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the answer; false after an error message. */
static bool
wait_for_answer(PGconn *conn, int limit_ms)
{
	long long	deadline = clock_ms() + limit_ms;

	while (PQisBusy(conn))
	{
		struct pollfd set = {.fd = PQsocket(conn), .events = POLLIN};
		long long	left = limit_ms > 0 ? deadline - clock_ms() : -1;

		if (limit_ms > 0 && left <= 0)
		{
			fprintf(stderr, "pgha: error: the server has not answered for %d seconds\n"
					"HINT:  It may be frozen; ask another member.\n", limit_ms / 1000);
			return false;
		}
		if (poll(&set, 1, (int) left) > 0 && !PQconsumeInput(conn))
		{
			fprintf(stderr, "pgha: error: %s", PQerrorMessage(conn));
			return false;
		}
	}
	return true;
}

char *
pgha_client_query(PGconn *conn, const char *query, const char *parameter, int limit_ms)
{
	const char *const values[] = {parameter};
	PGresult   *result;
	char	   *value = NULL;

	if (!PQsendQueryParams(conn, query, parameter != NULL ? 1 : 0, NULL, values, NULL, NULL, 0))
	{
		fprintf(stderr, "pgha: error: %s", PQerrorMessage(conn));
		return NULL;
	}
	if (!wait_for_answer(conn, limit_ms))
		return NULL;

	result = PQgetResult(conn);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		print_result_error(conn, result);
	else if (PQntuples(result) != 1 || PQnfields(result) != 1)
		fprintf(stderr, "pgha: error: the server's answer is not of the form expected\n");
	else if ((value = strdup(PQgetvalue(result, 0, 0))) == NULL)
		fprintf(stderr, "pgha: error: out of memory\n");
	PQclear(result);
	while ((result = PQgetResult(conn)) != NULL)
		PQclear(result);
	return value;
}

json_t *
pgha_client_query_json(PGconn *conn, const char *query, const char *parameter)
{
	char	   *text = pgha_client_query(conn, query, parameter, READ_LIMIT_MS);
	json_error_t error;
	json_t	   *value;

	if (text == NULL)
		return NULL;
	value = json_loads(text, 0, &error);
	if (value == NULL)
		fprintf(stderr, "pgha: error: the server's answer cannot be read: %s\n", error.text);
	free(text);
	return value;
}
