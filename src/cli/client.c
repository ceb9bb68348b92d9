/*
 * client.c
 *		A session with a member's SQL functions, for the subcommands for people.
 *
 * Error messages have psql's form: what, DETAIL, HINT.  Nobody is ever asked
 * for a password.
 *
 * It asks and prints errors; it changes nothing but what its caller asks the server
 * for.  Not for the agent or the server, which log instead of printing.
 */
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "../net/connect.h"
#include "../net/session_settings.h"
#include "subcommands.h"

/* Where no other is set, in seconds: a frozen host must not keep us. */
#define CONNECT_TIMEOUT "5"
#define READ_LIMIT_MS	15000

#define DEFAULT_TIMEOUT	60
#define DEFAULT_LIMIT	50
#define DEFAULT_WATCH	1.0

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

static bool
parse_seconds(const char *text, double *seconds)
{
	char	   *end;

	*seconds = strtod(text, &end);
	return end != text && *end == '\0' && *seconds >= 0.1 && *seconds <= 86400;
}

/* Reads the value of --color; false if it is none. */
static bool
read_color(const char *text, PghaColor *color)
{
	static const char *const names[] = {"auto", "always", "never"};

	for (int i = 0; i < 3; i++)
	{
		if (strcmp(text, names[i]) != 0)
			continue;
		*color = (PghaColor) i;
		return true;
	}
	return false;
}

static bool
is_method(const char *text)
{
	return strcmp(text, "auto") == 0 || strcmp(text, "rewind") == 0 ||
		strcmp(text, "clone") == 0 || strcmp(text, "start") == 0;
}

/* The option that each letter needs among those allowed; a letter not listed is always allowed. */
static bool
letter_allowed(int letter, int allowed)
{
	static const struct
	{
		int			letter;
		int			option;
	}			needs[] = {
		{'j', PGHA_OPTION_JSON},
		{'n', PGHA_OPTION_LIMIT},
		{'f', PGHA_OPTION_FORCE},
		{'w', PGHA_OPTION_WATCH},
		{'C', PGHA_OPTION_COLOR},
		{'m', PGHA_OPTION_RECOVER},
		{'t', PGHA_OPTION_TIMEOUT},
		{'R', PGHA_OPTION_ROLLING},
		{'L', PGHA_OPTION_LOSS},
		{'W', PGHA_OPTION_WIDE},
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (needs[i].letter == letter)
			return (allowed & needs[i].option) != 0;
	return true;
}

bool
pgha_client_take_option(char **argv, int letter, PghaClientOptions *options)
{
	const char *subcommand = argv[0];
	const char *value = optarg;

	switch (letter)
	{
		case 'h':
			options->host = value;
			return true;
		case 'p':
			options->port = value;
			return true;
		case 'U':
			options->user = value;
			return true;
		case 'd':
			options->dbname = value;
			return true;
		case 'j':
			options->json = true;
			return true;
		case 'f':
			options->force = true;
			return true;
		case 'n':
			if (parse_limit(value, &options->limit))
				return true;
			pgha_usage_error(subcommand, "limit \"%s\" is not a number from 1 to 1000000", value);
			return false;
		case 'w':
			options->watch = DEFAULT_WATCH;
			if (value == NULL || parse_seconds(value, &options->watch))
				return true;
			pgha_usage_error(subcommand, "\"%s\" is not a number of seconds from 0.1 to 86400", value);
			return false;
		case 'C':
			if (read_color(value, &options->color))
				return true;
			pgha_usage_error(subcommand, "color \"%s\" is not auto, always or never", value);
			return false;
		case 'm':
			options->method = value;
			if (is_method(value))
				return true;
			pgha_usage_error(subcommand, "method \"%s\" is not auto, rewind, clone or start", value);
			return false;
		case 't':
			if (parse_limit(value, &options->timeout) && options->timeout <= 86400)
				return true;
			pgha_usage_error(subcommand, "timeout \"%s\" is not a number of seconds from 1 to 86400", value);
			return false;
		case 'R':
			options->rolling = true;
			return true;
		case 'L':
			options->accept_loss = true;
			return true;
		case 'W':
			options->wide = true;
			return true;
		case ':':
			pgha_usage_error(subcommand, "option \"%s\" needs a value", argv[optind - 1]);
			return false;
		default:
			pgha_usage_error(subcommand, "\"%s\" is not an option of \"pgha %s\"", argv[optind - 1], subcommand);
			return false;
	}
}

static bool
is_conninfo(const char *text)
{
	return strchr(text, '=') != NULL || strncmp(text, "postgres://", 11) == 0 ||
		strncmp(text, "postgresql://", 13) == 0;
}

bool
pgha_client_take_arguments(int argc, char **argv, int allowed, PghaClientOptions *options)
{
	if ((allowed & PGHA_OPTION_RECOVER) != 0)
	{
		if (optind == argc)
		{
			pgha_usage_error(argv[0], "the name of the node is missing");
			return false;
		}
		options->node = argv[optind++];
	}
	if ((allowed & PGHA_OPTION_NODE) != 0 && optind < argc && !is_conninfo(argv[optind]))
		options->node = argv[optind++];
	if (optind < argc)
		options->conninfo = argv[optind++];
	if (optind < argc)
	{
		pgha_usage_error(argv[0], "too many arguments, the first of them \"%s\"", argv[optind]);
		return false;
	}
	return true;
}

bool
pgha_client_options(int argc, char **argv, int allowed, PghaClientOptions *options)
{
	static const struct option known[] = {
		PGHA_CLIENT_LONG_OPTIONS,
		{"json", no_argument, NULL, 'j'},
		{"limit", required_argument, NULL, 'n'},
		{"force", no_argument, NULL, 'f'},
		{"watch", optional_argument, NULL, 'w'},
		{"color", required_argument, NULL, 'C'},
		{"method", required_argument, NULL, 'm'},
		{"timeout", required_argument, NULL, 't'},
		{"rolling", no_argument, NULL, 'R'},
		{"accept-loss", no_argument, NULL, 'L'},
		{"wide", no_argument, NULL, 'W'},
		{NULL, 0, NULL, 0}
	};
	int			c;

	memset(options, 0, sizeof(*options));
	options->limit = DEFAULT_LIMIT;
	options->method = "auto";
	options->timeout = DEFAULT_TIMEOUT;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h:p:U:d:jn:fw::m:t:", known, NULL)) != -1)
	{
		if (!letter_allowed(c, allowed))
			c = '?';
		if (!pgha_client_take_option(argv, c, options))
			return false;
	}
	if (options->json && options->watch > 0)
	{
		pgha_usage_error(argv[0], "--json and --watch exclude each other");
		return false;
	}
	return pgha_client_take_arguments(argc, argv, allowed, options);
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
		fprintf(errors, "HINT:  Members of pg_monitor may call the functions that read; those that act"
				" must be granted to a role that is not a superuser.\n");
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
	if (!is_conninfo(text))
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

/* Connects; NULL after an error message. */
static PGconn *
connect_with(const Parameters *parameters, FILE *errors)
{
	PGconn	   *conn = pgha_connect_quietly(parameters->keyword, parameters->value, 0, errors);
	const char *host = get_parameter(parameters, "host", "PGHOST");

	if (conn != NULL && PQstatus(conn) == CONNECTION_OK)
		return conn;
	if (conn == NULL)
	{
		pgha_error(errors, NULL, "out of memory");
		return NULL;
	}
	put_connection_error(conn, errors);
	if (PQconnectionNeedsPassword(conn))
		fprintf(errors, "HINT:  Put the password into a password file (~/.pgpass or PGPASSFILE).\n");
	else if (host == NULL || strchr(host, ',') == NULL)
		fprintf(errors, "HINT:  Any member can be asked: pgha ... 'host=db-1,db-2,db-3'.\n");
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
pgha_client_valid(const PghaClientOptions *options)
{
	Parameters	parameters = {.count = 0};
	PQconninfoOption *parsed[2] = {NULL, NULL};
	bool		valid = make_parameters(options, &parameters, parsed, stderr);

	PQconninfoFree(parsed[0]);
	PQconninfoFree(parsed[1]);
	return valid;
}

PGconn *
pgha_client_try_connect(const PghaClientOptions *options, const PghaPlace *place, FILE *errors)
{
	Parameters	parameters = {.count = 0};
	PQconninfoOption *parsed[2] = {NULL, NULL};
	PGconn	   *conn = NULL;

	if (make_parameters(options, &parameters, parsed, errors))
	{
		if (place != NULL)
		{
			set_parameter(&parameters, "host", place->host);
			set_parameter(&parameters, "hostaddr", place->hostaddr);
			set_parameter(&parameters, "port", place->port);
			set_parameter(&parameters, "target_session_attrs", "any");
		}
		conn = connect_with(&parameters, errors);
	}
	PQconninfoFree(parsed[0]);
	PQconninfoFree(parsed[1]);
	return conn != NULL ? find_extension(conn, errors) : NULL;
}

PGconn *
pgha_client_connect(const PghaClientOptions *options)
{
	return pgha_client_try_connect(options, NULL, stderr);
}

/* Among several hosts of the connection: the one that is a primary.  NULL without a message if there is none. */
static PGconn *
connect_primary_listed(const PghaClientOptions *options, FILE *nowhere)
{
	Parameters	parameters = {.count = 0};
	PQconninfoOption *parsed[2] = {NULL, NULL};
	PGconn	   *conn = NULL;
	const char *host;

	if (make_parameters(options, &parameters, parsed, nowhere))
	{
		host = get_parameter(&parameters, "host", "PGHOST");
		set_parameter(&parameters, "target_session_attrs", "primary");
		if (host != NULL && strchr(host, ',') != NULL)
			conn = connect_with(&parameters, nowhere);
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

PGconn *
pgha_client_follow(PGconn *conn, const PghaClientOptions *options, FILE *errors)
{
	char	   *address = pgha_client_try_query(conn,
												"SELECT coalesce((SELECT address FROM pgha_cluster()"
												" WHERE reachable AND role = 'primary' AND state = 'primary' LIMIT 1), '')",
												NULL, READ_LIMIT_MS, errors);
	PghaPlace	place;
	PGconn	   *primary = NULL;

	if (address != NULL && pgha_client_split_address(address, &place))
	{
		/* An address of the environment would win over the host. */
		(void) unsetenv("PGHOSTADDR");
		primary = pgha_client_try_connect(options, &place, errors);
	}
	free(address);
	return primary;
}

/* The address is one that the standby has told. */
static void
say_primary(PGconn *primary)
{
	char		text[512];

	(void) snprintf(text, sizeof(text), "pgha: this is a standby; goes on at the primary, %s:%s\n", PQhost(primary), PQport(primary));
	pgha_put(text, stderr);
}

PGconn *
pgha_client_connect_primary(const PghaClientOptions *options)
{
	FILE	   *nowhere = fopen("/dev/null", "w");
	PGconn	   *primary = nowhere != NULL ? connect_primary_listed(options, nowhere) : NULL;
	PGconn	   *conn = primary != NULL ? primary : pgha_client_connect(options);
	char	   *recovering = NULL;

	if (primary == NULL && conn != NULL)
		recovering = pgha_client_query(conn, "SELECT pg_is_in_recovery()", NULL, READ_LIMIT_MS);
	if (recovering != NULL && strcmp(recovering, "t") == 0)
	{
		primary = pgha_client_follow(conn, options, stderr);
		if (primary != NULL)
			say_primary(primary);
	}
	free(recovering);
	if (nowhere != NULL)
		(void) fclose(nowhere);
	if (primary == NULL)
		return conn;			/* a standby says itself who the primary is */
	if (primary != conn)
		PQfinish(conn);
	return primary;
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
