/*
 * uri.c
 *		`pgha uri`: what a client connects with, naming all members.
 *
 * The members are those of this host's files, or of the server that a connection names.
 * Witnesses are left out, as they have no data.  It writes no password: that is the
 * client's.
 */
#include "subcommands.h"

#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "../common/address_spec.h"
#include "../common/log.h"
#include "client.h"

/* In seconds: a frozen host accepts connections and says nothing. */
#define CLIENT_TIMEOUT	"2"

static const char members_query[] =
"SELECT json_build_object("
" 'members', (SELECT coalesce(string_agg(node || '=' || address, ', ' ORDER BY node), '') FROM pgha_cluster() WHERE NOT coalesce(witness, false)),"
" 'address', coalesce(current_setting('pgha.address', true), ''),"
" 'port', current_setting('port'))";

typedef enum UriForm
{
	URI_LIBPQ, URI_DSN, URI_JDBC, URI_NAMES
} UriForm;

typedef struct UriOptions
{
	PghaClientOptions client;
	UriForm		form;
	const char *dbname;			/* of the client */
	bool		standby;
	bool		address;
} UriOptions;

/* Whom the client is to find. */
typedef struct UriTarget
{
	PghaMembers members;
	char		address[PGHA_ADDRESS_TEXT_SIZE];
	int			port;			/* of this server, for the address */
} UriTarget;

static bool
read_options(int argc, char **argv, UriOptions *options)
{
	static const struct option known[] = {
		PGHA_CLIENT_LONG_OPTIONS,
		{"libpq", no_argument, NULL, 'L'},
		{"dsn", no_argument, NULL, 'S'},
		{"jdbc", no_argument, NULL, 'J'},
		{"names", no_argument, NULL, 'N'},
		{"standby", no_argument, NULL, 's'},
		{"read-only", no_argument, NULL, 's'},
		{"address", no_argument, NULL, 'A'},
		{NULL, 0, NULL, 0}
	};
	int			forms = 0;
	int			c;

	memset(options, 0, sizeof(*options));
	opterr = 0;
	while ((c = getopt_long(argc, argv, PGHA_CLIENT_SHORT_OPTIONS, known, NULL)) != -1)
	{
		static const char letters[] = "LSJN";
		const char *form = strchr(letters, c);

		forms += form != NULL;
		if (form != NULL)
			options->form = (UriForm) (form - letters);
		else if (c == 's')
			options->standby = true;
		else if (c == 'A')
			options->address = true;
		else if (!pgha_client_take_option(argv, c, &options->client))
			return false;
	}
	if (forms > 1)
		return pgha_usage_error(argv[0], "--libpq, --dsn, --jdbc and --names exclude each other") == EXIT_OK;
	if (options->address && (options->standby || options->form == URI_NAMES))
		return pgha_usage_error(argv[0], "--address leads to the primary, and excludes --standby and --names") == EXIT_OK;

	/* The client's database may have any name, and is not where the extension is looked for. */
	options->dbname = options->client.dbname;
	options->client.dbname = NULL;
	return pgha_client_take_arguments(argc, argv, 0, &options->client);
}

/* ---- who the members are ---- */

static bool
ask_members(const PghaClientOptions *options, UriTarget *target)
{
	PghaClientOptions login = *options;
	PGconn	   *conn;
	json_t	   *answer;
	const char *members;
	const char *address;
	const char *port;
	char		error[512];
	bool		known;

	/* That is the client's. */
	login.user = NULL;
	conn = pgha_client_connect(&login);
	answer = conn != NULL ? pgha_client_query_json(conn, members_query, NULL) : NULL;
	PQfinish(conn);
	members = json_string_value(json_object_get(answer, "members"));
	address = json_string_value(json_object_get(answer, "address"));
	port = json_string_value(json_object_get(answer, "port"));
	known = members != NULL && address != NULL && port != NULL && pgha_members_parse(members, &target->members, error, sizeof(error));
	if (known)
	{
		(void) snprintf(target->address, sizeof(target->address), "%s", address);
		target->port = atoi(port);
	}
	else if (answer != NULL)
		pgha_error(stderr, NULL, "the server's answer is not of the form expected");
	json_decref(answer);
	return known;
}

static bool
find_members(const PghaClientOptions *options, UriTarget *target)
{
	const PghaLocalCluster *local = options->local;

	if (local == NULL || options->at != NULL)
		return ask_members(options, target);
	if (local->conf.members.count == 0)
	{
		pgha_error(stderr, "Name a member: pgha uri 'host=db-1 user=pgha'.", "\"%s\" names no members", local->conf.config_file);
		return false;
	}
	target->members = local->conf.members;
	target->port = local->conf.port;
	(void) snprintf(target->address, sizeof(target->address), "%s", local->conf.address);
	return true;
}

/* Puts the address that follows the primary in the place of the members. */
static bool
take_address(UriTarget *target)
{
	PghaAddressSpec spec;
	char		error[400];

	if (target->address[0] == '\0')
	{
		pgha_error(stderr, "Without --address the members themselves are named.", "pgha.address is not set");
		return false;
	}
	if (!pgha_address_spec_parse(target->address, &spec, error, sizeof(error)) || spec.ip[0] == '\0')
	{
		pgha_error(stderr, "Write what clients reach it by.", "pgha.address \"%s\" does not say an IP address", target->address);
		return false;
	}
	target->members.count = 1;
	(void) snprintf(target->members.member[0].host, sizeof(target->members.member[0].host), "%s", spec.ip);
	target->members.member[0].port = target->port;
	return true;
}

/* ---- forms ---- */

static void
put_encoded(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if (isalnum((unsigned char) *text) || strchr("-._~", *text) != NULL)
			putchar(*text);
		else
			printf("%%%02X", (unsigned char) *text);
	}
}

/* "10.0.3.21:5432,[fd00::1]:5432" */
static void
put_hosts(const PghaMembers *members)
{
	for (int i = 0; i < members->count; i++)
	{
		const char *host = members->member[i].host;
		bool		numeric = strchr(host, ':') != NULL;

		printf("%s%s", i > 0 ? "," : "", numeric ? "[" : "");
		if (numeric)
			fputs(host, stdout);
		else
			put_encoded(host);
		printf("%s:%d", numeric ? "]" : "", members->member[i].port);
	}
}

static void
put_libpq(const PghaClientOptions *client, const PghaMembers *members, const char *session)
{
	fputs("postgresql://", stdout);
	if (client->user != NULL)
	{
		put_encoded(client->user);
		putchar('@');
	}
	put_hosts(members);
	putchar('/');
	put_encoded(client->dbname != NULL ? client->dbname : "");
	printf("?target_session_attrs=%s&connect_timeout=" CLIENT_TIMEOUT "\n", session);
}

static void
put_jdbc(const PghaClientOptions *client, const PghaMembers *members, bool standby)
{
	fputs("jdbc:postgresql://", stdout);
	put_hosts(members);
	putchar('/');
	put_encoded(client->dbname != NULL ? client->dbname : "");
	putchar('?');
	if (client->user != NULL)
	{
		fputs("user=", stdout);
		put_encoded(client->user);
		putchar('&');
	}
	printf("targetServerType=%s%s&connectTimeout=" CLIENT_TIMEOUT "&hostRecheckSeconds=" CLIENT_TIMEOUT "&tcpKeepAlive=true\n",
		   standby ? "preferSecondary" : "primary", standby ? "&loadBalanceHosts=true" : "");
}

static bool
put_dsn(const PghaClientOptions *client, const PghaMembers *members, const char *session)
{
	char		hosts[PGHA_MAX_MEMBERS * (PGHA_HOST_SIZE + 1)] = "";
	char		ports[PGHA_MAX_MEMBERS * 8] = "";
	char		line[sizeof(hosts) + sizeof(ports) + 1024] = "";
	size_t		host_length = 0;
	size_t		port_length = 0;

	for (int i = 0; i < members->count; i++)
	{
		host_length += (size_t) snprintf(hosts + host_length, sizeof(hosts) - host_length, "%s%s", i > 0 ? "," : "", members->member[i].host);
		port_length += (size_t) snprintf(ports + port_length, sizeof(ports) - port_length, "%s%d", i > 0 ? "," : "", members->member[i].port);
	}
	if (!pgha_conninfo_add(line, sizeof(line), "host", hosts) || !pgha_conninfo_add(line, sizeof(line), "port", ports) ||
		(client->user != NULL && !pgha_conninfo_add(line, sizeof(line), "user", client->user)) ||
		(client->dbname != NULL && !pgha_conninfo_add(line, sizeof(line), "dbname", client->dbname)))
	{
		pgha_error(stderr, NULL, "the user's or the database's name is too long");
		return false;
	}
	printf("%s target_session_attrs=%s connect_timeout=" CLIENT_TIMEOUT "\n", line, session);
	return true;
}

int
pgha_uri_main(int argc, char **argv)
{
	UriOptions	options;
	UriTarget	target;
	const char *session;

	if (!read_options(argc, argv, &options))
		return EXIT_USAGE;
	memset(&target, 0, sizeof(target));
	if (!find_members(&options.client, &target) || (options.address && !take_address(&target)))
		return EXIT_ERROR;
	options.client.dbname = options.dbname;
	session = options.standby ? "prefer-standby" : "read-write";
	switch (options.form)
	{
		case URI_LIBPQ:
			put_libpq(&options.client, &target.members, session);
			break;
		case URI_JDBC:
			put_jdbc(&options.client, &target.members, options.standby);
			break;
		case URI_DSN:
			return put_dsn(&options.client, &target.members, session) ? EXIT_OK : EXIT_ERROR;
		case URI_NAMES:
			for (int i = 0; i < target.members.count; i++)
				puts(target.members.member[i].name);
			break;
	}
	return EXIT_OK;
}
