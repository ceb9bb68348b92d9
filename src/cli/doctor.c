/*
 * doctor.c
 *		`pgha doctor`: what pgha_doctor() finds on all members, and what can only
 *		be seen from outside of a server.
 *
 * The member that is connected to tells the addresses of the others; each of
 * them is asked in a session of its own, with the user and the options of the
 * first one.  A member that cannot be asked from here is a finding, too.
 *
 * Table and JSON show the same findings: all of them are gathered
 * first, in groups: one for each member, one for this host, one for pgpool.conf.
 */
#include "subcommands.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"
#include "../common/extension.h"
#include "../net/connect.h"
#include "client.h"
#include "doctor_host.h"
#include "doctor_pgpool.h"
#include "finding.h"
#include "here.h"
#include "table.h"

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

/* For a query; a frozen member must not keep us. */
#define ANSWER_LIMIT_MS	15000

#define FINDINGS_QUERY	"SELECT coalesce(json_agg(d), '[]') FROM %s.pgha_doctor() d"
#define MEMBERS_QUERY \
	"SELECT coalesce(json_agg(json_build_object('node', c.node, 'address', c.address," \
	" 'witness', coalesce((to_json(c)->>'witness')::bool, false))), '[]') FROM %s.pgha_cluster() c"

/* Empty for a role that may not see it: pg_settings leaves it out. */
#define CONNINFO_QUERY \
	"SELECT coalesce((SELECT setting FROM pg_catalog.pg_settings WHERE name = 'pgha.conninfo'), '')"

typedef struct DoctorOptions
{
	PghaClientOptions client;
	const char *pgpool_conf;
	bool		all;
} DoctorOptions;

/* ---- options ---- */

static bool
read_options(int argc, char **argv, DoctorOptions *options)
{
	static const struct option known[] = {
		PGHA_CLIENT_LONG_OPTIONS,
		{"json", no_argument, NULL, 'j'},
		{"all", no_argument, NULL, 'a'},
		{"pgpool-conf", required_argument, NULL, 'P'},
		{"color", required_argument, NULL, 'C'},
		{NULL, 0, NULL, 0}
	};
	int			c;

	memset(options, 0, sizeof(*options));
	opterr = 0;
	while ((c = getopt_long(argc, argv, PGHA_CLIENT_SHORT_OPTIONS "ja", known, NULL)) != -1)
	{
		switch (c)
		{
			case 'a':
				options->all = true;
				break;
			case 'P':
				options->pgpool_conf = optarg;
				break;
			default:
				if (!pgha_client_take_option(argv, c, &options->client))
					return false;
		}
	}
	return pgha_client_take_arguments(argc, argv, PGHA_OPTION_HOST, &options->client);
}

/* ---- groups of findings ---- */

/* Adds a group and returns its array of findings. */
static json_t *
add_group(json_t *groups, const char *source, const char *node, const char *place)
{
	json_t	   *findings = json_array();

	(void) json_array_append_new(groups,
								 json_pack("{s:s, s:s?, s:s?, s:o}", "source", source, "node", node,
										   "place", place, "findings", findings));
	return findings;
}

/* ---- members ---- */

/* Runs a query of one JSON value; %s in it is the schema of the extension.  NULL after an error message. */
static json_t *
query_in_schema(PGconn *conn, const char *format, const char *schema)
{
	char		query[512];

	(void) snprintf(query, sizeof(query), format, schema);
	return pgha_client_query_json(conn, query, NULL);
}

/* Puts what a member finds into `findings`; false after an error message. */
static bool
ask(PGconn *conn, json_t *findings, const char **why, json_t **members)
{
	char	   *schema = pgha_client_query(conn, PGHA_EXTENSION_SCHEMA_QUERY, NULL, ANSWER_LIMIT_MS);
	json_t	   *answer = NULL;
	bool		loaded = false;
	size_t		index;
	json_t	   *finding;

	*why = "it does not answer";
	if (schema != NULL && *schema == '\0')
		*why = "the database does not have the extension pgha";
	else if (schema != NULL)
	{
		answer = query_in_schema(conn, FINDINGS_QUERY, schema);
		if (answer == NULL && PQstatus(conn) == CONNECTION_OK)
			*why = "pgha_doctor() cannot be called there";
	}
	if (answer != NULL)
	{
		json_array_foreach(answer, index, finding)
		{
			const char *check = json_string_value(json_object_get(finding, "check"));
			const char *severity = json_string_value(json_object_get(finding, "severity"));

			loaded |= check != NULL && severity != NULL && strcmp(check, "loaded") == 0 && strcmp(severity, "ok") == 0;
		}
		(void) json_array_extend(findings, answer);
		json_decref(answer);
		if (members != NULL)
			*members = loaded ? query_in_schema(conn, MEMBERS_QUERY, schema) : NULL;
	}
	free(schema);
	return answer != NULL;
}

#define MAX_PARAMETERS	80

/* A session with another member: as `like`, but with its address and whatever role it has. */
static PGconn *
connect_like(PGconn *like, const char *address)
{
	static const char *const replaced[] = {"host", "hostaddr", "port", "target_session_attrs", "client_encoding", NULL};
	const char *keywords[MAX_PARAMETERS + 1];
	const char *values[MAX_PARAMETERS + 1];
	PQconninfoOption *options = PQconninfo(like);
	char		text[PGHA_HOST_SIZE + 16];
	PghaPlace	place;
	PGconn	   *conn;
	int			count = 0;

	if (options == NULL || snprintf(text, sizeof(text), "%s", address) >= (int) sizeof(text) ||
		!pgha_client_split_address(text, &place))
		return NULL;
	for (PQconninfoOption *option = options; option->keyword != NULL && count < MAX_PARAMETERS - 8; option++)
	{
		int			i = 0;

		while (replaced[i] != NULL && strcmp(replaced[i], option->keyword) != 0)
			i++;
		if (replaced[i] != NULL || option->val == NULL || *option->val == '\0')
			continue;
		keywords[count] = option->keyword;
		values[count++] = option->val;
	}
	keywords[count] = "host";
	values[count++] = place.host;
	keywords[count] = "port";
	values[count++] = place.port;
	keywords[count] = "target_session_attrs";
	values[count++] = "any";
	keywords[count] = "client_encoding";
	values[count++] = "UTF8";
	keywords[count] = NULL;
	values[count] = NULL;
	(void) unsetenv("PGHOSTADDR");
	conn = pgha_connect_quietly(keywords, values, 0, stderr);
	PQconninfoFree(options);
	return conn;
}

/* Another way in: as the members and agents log in to each other, if we may know of it.  NULL if not. */
static PGconn *
connect_as_member(const char *conninfo, const char *node, const char *address)
{
	char		list[PGHA_NAME_SIZE + PGHA_HOST_SIZE + 16];
	char		full[PGHA_CONNINFO_SIZE];
	const char *keywords[] = {"dbname", NULL};
	const char *values[] = {full, NULL};
	PghaMembers members;
	char		error[256];

	if (conninfo == NULL || *conninfo == '\0' ||
		snprintf(list, sizeof(list), "%s=%s", node, address) >= (int) sizeof(list) ||
		!pgha_members_parse(list, &members, error, sizeof(error)) ||
		!pgha_conninfo_build(full, sizeof(full), conninfo, &members.member[0], "pgha doctor",
							 strstr(conninfo, "dbname") == NULL ? "dbname=postgres" : ""))
		return NULL;
	return pgha_connect_quietly(keywords, values, 1, NULL);
}

/* The server runs, and only does not let us in. */
static bool
refuses_login(const PGconn *conn)
{
	const char *said = PQerrorMessage(conn);

	return PQconnectionNeedsPassword(conn) || strstr(said, "pg_hba.conf") != NULL ||
		strstr(said, "authentication failed") != NULL || strstr(said, "password") != NULL;
}

/* A session with another member as the servers of this host's cluster log in to each other. */
static PGconn *
connect_as_servers(const PghaLocalCluster *local, const char *address)
{
	static const char *const keywords[] = {"dbname", "connect_timeout", "client_encoding", NULL};
	char		text[PGHA_HOST_SIZE + 16];
	char		conninfo[PGHA_CONNINFO_SIZE];
	const char *const values[] = {conninfo, "5", "UTF8", NULL};
	PghaPlace	place;
	PghaAddress member;

	if (snprintf(text, sizeof(text), "%s", address) >= (int) sizeof(text) || !pgha_client_split_address(text, &place))
		return NULL;
	(void) snprintf(member.host, sizeof(member.host), "%s", place.host);
	member.port = atoi(place.port);
	return pgha_here_conninfo(local, &member, conninfo, sizeof(conninfo)) ?
		pgha_connect_quietly(keywords, values, 1, stderr) : NULL;
}

/*
 * Asks a member that the first one has named.  A witness lets in nobody but the
 * members' servers: whether it is well these say (check "witnesses").  A superuser
 * who came by the socket need not be let in elsewhere: then pgha.conninfo is tried,
 * and if that is of no use either, it is no fault of the cluster.
 */
static void
ask_other(const PghaClientOptions *options, PGconn *like, const char *conninfo, const char *node, const char *address,
		  bool witness, json_t *groups)
{
	json_t	   *findings = add_group(groups, "server", node, address);
	PGconn	   *conn = options->local != NULL && options->user == NULL ? connect_as_servers(options->local, address) :
		connect_like(like, address);
	char		message[512] = "its address cannot be read";
	const char *why = message;
	bool		settled = false;
	bool		refused = conn != NULL && PQstatus(conn) != CONNECTION_OK && refuses_login(conn);
	PGconn	   *other = refused && !witness ? connect_as_member(conninfo, node, address) : NULL;

	if (other != NULL && PQstatus(other) == CONNECTION_OK)
	{
		PQfinish(conn);
		conn = other;
		refused = false;
	}
	else
		PQfinish(other);

	if (conn != NULL && PQstatus(conn) != CONNECTION_OK)
	{
		(void) snprintf(message, sizeof(message), "%s", PQerrorMessage(conn));
		message[strcspn(message, "\n")] = '\0';
		(void) pgha_shown(message, false);
	}
	else if (conn != NULL)
	{
		settled = pgha_client_settle(conn, stderr);
		why = settled ? why : "it does not answer";
	}
	if (!settled || !ask(conn, findings, &why, NULL))
		pgha_finding(findings, witness || refused ? "info" : "warning", "asked",
					 refused && !witness ? "Run \"pgha doctor -U\" with the role of pgha.conninfo, or \"pgha doctor\" on that host." :
					 witness ? "Run \"pgha doctor\" on that host, as the user that runs it." :
					 "Start it, if it is down; or let this role in from here; or run \"pgha doctor\" on that host.",
					 "could not ask %s from here: %s", witness ? "this witness" : "it", why);
	PQfinish(conn);
}

/* Asks the member that answers, and those it knows.  False after an error message. */
static bool
ask_all(const PghaClientOptions *options, json_t *groups, json_t **members)
{
	PGconn	   *conn = pgha_client_connect(options);
	char	   *node;
	char	   *conninfo = NULL;
	const char *why;
	json_t	   *findings;
	size_t		index;
	json_t	   *member;
	bool		answered;

	if (conn == NULL)
		return false;
	node = pgha_client_query(conn, "SELECT coalesce(pg_catalog.current_setting('pgha.node', true), '')", NULL, ANSWER_LIMIT_MS);
	findings = add_group(groups, "server", node != NULL && *node != '\0' ? node : NULL, "asked first");
	answered = node != NULL && ask(conn, findings, &why, members);
	if (!answered)
		fprintf(stderr, "HINT:  Run ALTER EXTENSION pgha UPDATE; on the primary, if the extension is older than the program.\n");
	else
		conninfo = pgha_client_query(conn, CONNINFO_QUERY, NULL, ANSWER_LIMIT_MS);
	json_array_foreach(*members, index, member)
	{
		const char *name = json_string_value(json_object_get(member, "node"));
		const char *address = json_string_value(json_object_get(member, "address"));

		if (answered && name != NULL && address != NULL && strcmp(name, node) != 0)
			ask_other(options, conn, conninfo, name, address, json_is_true(json_object_get(member, "witness")), groups);
	}
	free(node);
	free(conninfo);
	PQfinish(conn);
	return answered;
}

/* ---- this host ---- */

/* Is this host to be looked at?  A witness has no agent, and a server that pgha does not manage has nothing to check. */
static bool
is_on_host(const PghaClientOptions *client)
{
	const PghaLocalCluster *host = client->host_cluster;

	return client->where.data != NULL || client->where.config_file != NULL || client->where.cluster != NULL ||
		(host != NULL && client->at == NULL && !host->witness && host->conf.node[0] != '\0');
}

/* As the agent would read it. */
static bool
read_host_conf(const PghaClientOptions *client, PghaAgentConf *conf, char *error, size_t error_size)
{
	const PghaLocalConf *found = client->host_cluster != NULL ? &client->host_cluster->conf : NULL;
	size_t		length = found != NULL ? strlen(found->data) : 0;

	if (found == NULL || client->where.data != NULL || client->where.config_file != NULL)
		return pgha_agent_conf_read(client->where.data, client->where.config_file, conf, error, error_size);
	if (length > 0 && strncmp(found->config_file, found->data, length) == 0 && found->config_file[length] == '/')
		return pgha_agent_conf_read(found->data, NULL, conf, error, error_size);
	return pgha_agent_conf_read(NULL, found->config_file, conf, error, error_size);
}

/* Connects as the agent does, where nothing else is said. */
static void
default_connection(const PghaAgentConf *conf, PghaClientOptions *client)
{
	static char conninfo[PGHA_CONNINFO_SIZE];

	if (client->local != NULL || client->conninfo != NULL || client->host != NULL || client->port != NULL ||
		client->user != NULL || client->dbname != NULL)
		return;
	if (pgha_conninfo_build(conninfo, sizeof(conninfo), conf->conninfo, &conf->members.member[conf->self],
							"pgha doctor", strstr(conf->conninfo, "dbname") == NULL ? "dbname=postgres" : ""))
		client->conninfo = conninfo;
}

/* The members as the one that was asked told them, for pgpool.conf, where a witness has no business. */
static bool
members_told(const json_t *told, PghaMembers *members)
{
	char		text[PGHA_MAX_MEMBERS * (PGHA_NAME_SIZE + PGHA_HOST_SIZE + 16)] = "";
	char		error[256];
	size_t		length = 0;
	size_t		index;
	const json_t *member;

	json_array_foreach(told, index, member)
	{
		const char *name = json_string_value(json_object_get(member, "node"));
		const char *address = json_string_value(json_object_get(member, "address"));

		if (name != NULL && address != NULL && !json_is_true(json_object_get(member, "witness")) && length < sizeof(text))
			length += (size_t) snprintf(text + length, sizeof(text) - length, "%s%s=%s",
										length > 0 ? ", " : "", name, address);
	}
	return length < sizeof(text) && pgha_members_parse(text, members, error, sizeof(error));
}

/* ---- output ---- */

static const char *const severities[] = {"ok", "info", "warning", "error"};

static int
rank_of(const json_t *finding)
{
	const char *severity = json_string_value(json_object_get(finding, "severity"));

	for (int i = 0; severity != NULL && i < LENGTH(severities); i++)
		if (strcmp(severity, severities[i]) == 0)
			return i;
	return LENGTH(severities) - 1;
}

static void
count_findings(const json_t *groups, int *counts)
{
	size_t		g;
	size_t		f;
	const json_t *group;
	const json_t *finding;

	json_array_foreach(groups, g, group)
		json_array_foreach(json_object_get(group, "findings"), f, finding)
			counts[rank_of(finding)]++;
}

static PghaPaint
paint_severity(const json_t *row)
{
	const char *severity = json_string_value(json_object_get(row, "severity"));

	if (severity == NULL)
		return PGHA_PAINT_NONE;
	return strcmp(severity, "error") == 0 ? PGHA_PAINT_BAD : strcmp(severity, "warning") == 0 ? PGHA_PAINT_WARN :
		strcmp(severity, "ok") == 0 ? PGHA_PAINT_GOOD : PGHA_PAINT_NONE;
}

static const PghaColumn columns[] = {
	{"Severity", "severity", false, NULL, paint_severity},
	{"Check", "check", false, NULL, NULL},
	{"Finding, and what to do", "text", false, NULL, NULL},
};

/* A finding as one or two lines of the table: the remedy stands below it. */
static void
add_lines(json_t *rows, const json_t *finding)
{
	const char *remedy = json_string_value(json_object_get(finding, "remedy"));
	char		text[1200];

	(void) json_array_append_new(rows, json_pack("{s:O, s:O, s:O}",
												 "severity", json_object_get(finding, "severity"),
												 "check", json_object_get(finding, "check"),
												 "text", json_object_get(finding, "finding")));
	if (remedy == NULL)
		return;
	(void) snprintf(text, sizeof(text), "-> %s", remedy);
	(void) json_array_append_new(rows, json_pack("{s:s, s:s, s:s}", "severity", " ", "check", " ", "text", text));
}

static void
print_group(const json_t *group, bool all, bool coloured)
{
	static const char *const titles[][2] = {
		{"server", "Node"}, {"host", "This host, node"}, {"pgpool", "pgpool"}
	};
	const json_t *findings = json_object_get(group, "findings");
	const char *source = json_string_value(json_object_get(group, "source"));
	const char *node = json_string_value(json_object_get(group, "node"));
	const char *place = json_string_value(json_object_get(group, "place"));
	json_t	   *rows = json_array();
	const char *title = "";
	char		heading[2048];
	size_t		index;
	const json_t *finding;

	for (int i = 0; i < LENGTH(titles); i++)
		if (strcmp(titles[i][0], source) == 0)
			title = titles[i][1];
	json_array_foreach(findings, index, finding)
		if (all || rank_of(finding) > 1)
			add_lines(rows, finding);

	(void) snprintf(heading, sizeof(heading), "%s%s%s%s%s%s", title, node != NULL ? " " : "", node != NULL ? node : "",
					place != NULL ? " (" : "", place != NULL ? place : "", place != NULL ? ")" : "");
	printf("%s:", pgha_shown(heading, false));
	if (json_array_size(rows) == 0)
		printf(" nothing to do, %d checks\n\n", (int) json_array_size(findings));
	else
	{
		printf("\n\n");
		pgha_table_print(stdout, rows, columns, LENGTH(columns), coloured, 0);
		putchar('\n');
	}
	json_decref(rows);
}

static int
print_all(json_t *groups, const DoctorOptions *options)
{
	int			counts[LENGTH(severities)] = {0};
	int			worst = 0;
	size_t		index;
	const json_t *group;

	count_findings(groups, counts);
	for (int i = 0; i < LENGTH(severities); i++)
		if (counts[i] > 0)
			worst = i;
	if (options->client.json)
	{
		json_t	   *document = json_pack("{s:s, s:O}", "worst", severities[worst], "groups", groups);

		(void) json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(document);
	}
	else
	{
		json_array_foreach(groups, index, group)
			print_group(group, options->all, pgha_terminal_coloured(stdout, options->client.color));
		printf("%d errors, %d warnings, %d infos, %d in order%s\n", counts[3], counts[2], counts[1], counts[0],
			   options->all || counts[1] == 0 ? "" : "; --all shows them all");
	}
	return worst == 3 ? EXIT_SICK : worst == 2 ? EXIT_WEAK : EXIT_OK;
}

int
pgha_doctor_main(int argc, char **argv)
{
	DoctorOptions options;
	PghaAgentConf conf = {.file_count = 0};
	PghaMembers members;
	bool		on_host;
	bool		usable = false;
	bool		asked;
	char		error[512];
	json_t	   *groups;
	json_t	   *told = NULL;
	int			code;

	if (!read_options(argc, argv, &options))
		return EXIT_USAGE;
	on_host = is_on_host(&options.client);
	if (on_host)
		usable = read_host_conf(&options.client, &conf, error, sizeof(error));
	if (usable)
		default_connection(&conf, &options.client);

	groups = json_array();
	asked = ask_all(&options.client, groups, &told);
	if (!asked && !on_host)
	{
		json_decref(groups);
		return EXIT_ERROR;
	}
	if (!asked)
		json_array_clear(groups);
	if (on_host && !usable)
		pgha_finding(add_group(groups, "host", NULL, NULL), "error", "agent_configuration",
					 "Correct the file; \"pgha agent --check\" says the same.",
					 "the agent could not start: %s", error);
	else if (on_host && !conf.witness)
		pgha_doctor_host(&conf, add_group(groups, "host", conf.members.member[conf.self].name, conf.data));
	if (options.pgpool_conf != NULL)
	{
		bool		known = usable || members_told(told, &members);

		pgha_doctor_pgpool(options.pgpool_conf, !known ? NULL : usable ? &conf.members : &members,
						   usable ? &conf : NULL, add_group(groups, "pgpool", NULL, options.pgpool_conf));
	}
	code = print_all(groups, &options);
	json_decref(groups);
	json_decref(told);
	if (usable)
		pgha_agent_conf_free(&conf);
	return code;
}
