/*
 * client.c
 *		Which server a subcommand means, and a session with it.
 *
 * Named by a connection string, by options, by libpq's environment, by the name of a
 * member; else it is the cluster of this host (local.c, here.c).  For the subcommands
 * for people.
 *
 * It reads options and connects; it asks a server for nothing but where another one is.
 */
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/errors.h"
#include "../common/log.h"
#include "../common/program.h"
#include "here.h"
#include "local.h"

/* A frozen member must not keep us. */
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

static bool
is_number(const char *text)
{
	return *text != '\0' && strspn(text, "0123456789.") == strlen(text);
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
		case 'D':
			options->where.data = value;
			return true;
		case 'c':
			options->where.config_file = value;
			return true;
		case 'K':
			options->where.cluster = value;
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
			/* "--watch 5": a number that follows is its value, all else is not. */
			if (value == NULL && argv[optind] != NULL && is_number(argv[optind]))
				value = argv[optind++];
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

/*
 * A word that is no connection string must be a member's name.  Where the files of this
 * host say who the members are it is looked up there; else a server will be asked.
 */
static bool
is_member(const PghaClientOptions *options, FILE *errors)
{
	const char *word = options->at != NULL ? options->at : options->node;
	char		names[1024];

	if (word == NULL || options->local == NULL || (options->local->conf.members.voters == 0 && options->at == NULL) ||
		pgha_voters_find(&options->local->conf.members, word) != PGHA_NOBODY)
		return true;
	if (options->local->conf.members.voters == 0)
	{
		pgha_error(errors, "A database is named with -d; a connection string or URI has \"=\" or \"://\" in it.",
				   "\"%s\" is no connection string, and \"%s\" names no members", word, options->local->conf.config_file);
		return false;
	}
	pgha_local_names(options->local, options->at != NULL, names, sizeof(names));
	pgha_error(errors, "A database is named with -d; a connection string or URI has \"=\" or \"://\" in it.",
			   "\"%s\" is neither a member (%s) nor a connection string", word, names);
	return false;
}

static bool
names_cluster(const PghaLocalOptions *where)
{
	return where->data != NULL || where->config_file != NULL || where->cluster != NULL;
}

static bool
names_connection(const PghaClientOptions *options)
{
	return options->conninfo != NULL || options->host != NULL || options->port != NULL ||
		(options->dbname != NULL && pgha_is_conninfo(options->dbname));
}

static bool
find_and_become_owner(const PghaLocalOptions *where, PghaLocalCluster *local, FILE *errors)
{
	return pgha_local_find(where, local, errors) && (!local->found || pgha_local_become_owner(local, errors));
}

/*
 * Where the host itself is looked at, what is wrong there is a finding, with more to it.
 * But it is never looked at as root, whose files and logins others could then borrow.
 */
static bool
find_to_look_at(const PghaLocalOptions *where, PghaLocalCluster *local, bool *usable, FILE *errors)
{
	char	   *said = NULL;
	size_t		size;
	FILE	   *own = open_memstream(&said, &size);
	bool		safe;

	*usable = own != NULL && find_and_become_owner(where, local, own);
	safe = own != NULL && (geteuid() != 0 || (local->owner_name[0] != '\0' && pgha_local_become_owner(local, own)));
	if (own != NULL)
		(void) fclose(own);
	if (!safe)
		fputs(said != NULL ? said : "pgha: error: out of memory\n", errors);
	free(said);
	return safe;
}

bool
pgha_client_find_local(int allowed, PghaClientOptions *options, FILE *errors)
{
	static PghaLocalCluster local;
	const PghaLocalOptions *where = &options->where;
	bool		connection = names_connection(options);
	bool		usable;

	if (!names_cluster(where) && (connection || pgha_local_overruled()))
		return true;
	if (names_cluster(where) && where->cluster == NULL && (allowed & PGHA_OPTION_HOST) != 0)
	{
		if (!find_to_look_at(where, &local, &usable, errors))
			return false;
		if (!usable)
			return true;
	}
	else if (!find_and_become_owner(where, &local, errors))
		return false;
	if (!local.found)
		return true;
	options->host_cluster = &local;
	if (connection)
		return true;
	options->local = &local;
	pgha_here_forget_environment();
	return is_member(options, errors);
}

bool
pgha_client_parse_arguments(int argc, char **argv, int allowed, PghaClientOptions *options)
{
	if ((allowed & PGHA_OPTION_RECOVER) != 0 && optind == argc)
	{
		pgha_usage_error(argv[0], "the name of the node is missing");
		return false;
	}
	if ((allowed & PGHA_OPTION_RECOVER) != 0)
		options->node = argv[optind++];
	else if (optind < argc && !pgha_is_conninfo(argv[optind]))
		*((allowed & PGHA_OPTION_NODE) != 0 ? &options->node : &options->at) = argv[optind++];
	if (optind < argc)
		options->conninfo = argv[optind++];
	if (optind < argc)
	{
		pgha_usage_error(argv[0], "too many arguments, the first of them \"%s\"", argv[optind]);
		return false;
	}
	if (options->conninfo != NULL && !pgha_is_conninfo(options->conninfo))
	{
		pgha_error(stderr, "A database is named with -d.", "\"%s\" is no connection string or URI", options->conninfo);
		return false;
	}
	if (options->where.cluster != NULL && (options->where.data != NULL || options->where.config_file != NULL))
	{
		pgha_usage_error(argv[0], "--cluster excludes --pgdata and --config");
		return false;
	}
	if (names_cluster(&options->where) && names_connection(options) && (allowed & PGHA_OPTION_HOST) == 0)
	{
		pgha_usage_error(argv[0], "--pgdata, --config and --cluster exclude a connection");
		return false;
	}
	return true;
}

bool
pgha_client_take_arguments(int argc, char **argv, int allowed, PghaClientOptions *options)
{
	return pgha_client_parse_arguments(argc, argv, allowed, options) &&
		pgha_client_find_local(allowed, options, stderr);
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
	while ((c = getopt_long(argc, argv, PGHA_CLIENT_SHORT_OPTIONS "jn:fw::m:t:", known, NULL)) != -1)
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

/* ---- connecting ---- */

/*
 * The member of that name, at the address that the one at `conn` knows it by.  Closes
 * `conn`.
 */
static PGconn *
go_to_member(PGconn *conn, const PghaClientOptions *options, FILE *errors)
{
	char	   *found = pgha_client_try_query(conn,
											  "SELECT coalesce((SELECT address FROM pgha_cluster() WHERE node = $1),"
											  " (SELECT '?' || coalesce(string_agg(node, ', ' ORDER BY node), '') FROM pgha_cluster()))",
											  options->at, READ_LIMIT_MS, errors);
	PghaPlace	place;
	PghaFailure failure;
	PGconn	   *other = NULL;

	PQfinish(conn);
	if (found != NULL && found[0] == '?')
		pgha_error(errors, "A database is named with -d; a connection string or URI has \"=\" or \"://\" in it.",
				   "\"%s\" is neither a member (%s) nor a connection string", options->at, found + 1);
	else if (found != NULL && pgha_client_split_address(found, &place))
	{
		/* An address of the environment would win over the host. */
		(void) unsetenv("PGHOSTADDR");
		other = pgha_connection_open(options, &place, &failure, errors);
	}
	free(found);
	return other;
}

bool
pgha_client_valid(const PghaClientOptions *options)
{
	return pgha_connection_valid(options);
}

PGconn *
pgha_client_try_connect(const PghaClientOptions *options, const PghaPlace *place, FILE *errors)
{
	bool		named = options->conninfo != NULL || options->host != NULL || options->port != NULL || pgha_local_overruled();
	PghaFailure failure;
	PGconn	   *conn;

	if (options->local != NULL)
		return pgha_here_connect(options, place, errors);
	conn = pgha_connection_open(options, place, &failure, errors);
	if (conn != NULL && place == NULL && options->at != NULL)
		return go_to_member(conn, options, errors);

	/* Others help where one is not there; who is refused, or means this very one, needs no other. */
	if (conn == NULL && place == NULL && failure == PGHA_NOT_REACHED && !options->here && !pgha_connection_has_hosts(options))
		fprintf(errors, named ? "HINT:  Any member can be asked: pgha ... 'host=db-1,db-2,db-3'.\n" :
				"HINT:  No cluster with pgha was found on this host. Name its data directory with -D, or a member: pgha ... 'host=db-1,db-2,db-3'.\n");
	return conn;
}

PGconn *
pgha_client_connect(const PghaClientOptions *options)
{
	return pgha_client_try_connect(options, NULL, stderr);
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

/*
 * From this host's cluster: by whoever of it answers.  To tell where the primary is
 * takes no right to give orders.
 */
static PGconn *
connect_primary_from_here(const PghaClientOptions *options)
{
	PghaClientOptions reading = *options;
	PGconn	   *conn;
	PGconn	   *primary;
	char	   *recovering;
	char	   *said = NULL;
	size_t		size = 0;
	FILE	   *errors;

	reading.acts = NULL;
	conn = pgha_client_connect(&reading);
	recovering = conn != NULL ? pgha_client_query(conn, "SELECT pg_is_in_recovery()", NULL, READ_LIMIT_MS) : NULL;
	errors = recovering != NULL ? open_memstream(&said, &size) : NULL;
	if (errors == NULL)
	{
		free(recovering);
		PQfinish(conn);
		return NULL;
	}
	if (strcmp(recovering, "t") == 0)
		primary = pgha_client_follow(conn, options, errors);
	else
	{
		const PghaPlace place = {PQhost(conn), PQhostaddr(conn), PQport(conn)};

		primary = place.host[0] == '/' || place.host[0] == '@' ? conn : pgha_client_try_connect(options, &place, errors);
	}
	(void) fclose(errors);
	if (primary != NULL && strcmp(recovering, "t") == 0)
		say_primary(primary);
	if (primary == NULL)
		fputs(said, stderr);
	free(recovering);

	/* A standby that knows of no primary says so itself. */
	if (primary == NULL && size == 0)
		primary = conn;
	if (primary != conn)
		PQfinish(conn);
	free(said);
	return primary;
}

PGconn *
pgha_client_connect_primary(const PghaClientOptions *options)
{
	FILE	   *nowhere = fopen("/dev/null", "w");
	PGconn	   *primary = nowhere != NULL && options->local == NULL ? pgha_connection_open_primary(options, nowhere) : NULL;
	PGconn	   *conn = primary != NULL || options->local != NULL ? primary : pgha_client_connect(options);
	char	   *recovering = NULL;

	if (options->local != NULL)
		conn = primary = connect_primary_from_here(options);

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
