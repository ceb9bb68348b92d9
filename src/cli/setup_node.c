/*
 * setup_node.c
 *		A node that is being set up: what is there, what is to be written, and how
 *		that is asked for, shown and checked.
 *
 * For `pgha create`, `pgha join` and `pgha leave`, as the owner of the server.  Here
 * nothing is changed: setup_plan.c writes, the commands themselves say in which order.
 */
#include "setup_node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "../common/program.h"
#include "../host/compat.h"
#include "../host/control.h"
#include "../host/durable.h"
#include "../host/running.h"
#include "../host/server_ctl.h"
#include "../net/connect.h"

#define DATABASES	"replication,postgres"

bool
pgha_setup_refuse(PghaSetup *setup, const char *hint, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	(void) vsnprintf(setup->error, sizeof(setup->error), format, args);
	va_end(args);
	(void) snprintf(setup->hint, sizeof(setup->hint), "%s", hint != NULL ? hint : "");
	return false;
}

int
pgha_setup_error(PghaSetup *setup)
{
	pgha_error(stderr, setup->hint[0] != '\0' ? setup->hint : NULL, "%s", setup->error);
	return EXIT_ERROR;
}

bool
pgha_setup_add_setting(PghaSetup *setup, const char *setting)
{
	if (!pgha_option_valid(setting) || !pgha_fits_a_line(setting) || setup->setting_count == PGHA_SETUP_MAX_SETTINGS)
		return false;
	setup->setting[setup->setting_count++] = setting;
	return true;
}

bool
pgha_setup_take_members(PghaSetup *setup)
{
	char		error[512];
	int			self;

	if (!pgha_members_parse(setup->members, &setup->voters, error, sizeof(error)) ||
		!pgha_witnesses_parse(setup->witnesses, &setup->voters, error, sizeof(error)))
		return pgha_setup_refuse(setup, NULL, "%s", error);
	self = pgha_members_find(&setup->voters, setup->node);
	if (self == PGHA_NOBODY)
		return pgha_setup_refuse(setup, "Write this node, too, into --members.", "\"%s\" is not one of the members", setup->node);
	setup->own = &setup->voters.member[self];
	return true;
}

/* ---- what is there ---- */

static bool
setting(PghaSetup *setup, const char *name, char *value, size_t size)
{
	if (pgha_setup_setting(&setup->home.conf, name, value, size, setup->error, sizeof(setup->error)))
		return true;
	(void) snprintf(setup->hint, sizeof(setup->hint), "Correct what is wrong in \"%s\" or what it includes.", setup->home.conf.config_file);
	return false;
}

static bool
number(PghaSetup *setup, const char *name, int *value)
{
	char		text[64];

	if (!setting(setup, name, text, sizeof(text)))
		return false;
	*value = atoi(text);
	return true;
}

/* Of a data directory that initdb, or a copy, is still to make. */
static bool
survey_nothing(PghaSetup *setup)
{
	PghaSurvey *survey = &setup->survey;

	survey->port = 5432;
	(void) snprintf(survey->listen, sizeof(survey->listen), "localhost");
	(void) snprintf(survey->hba_file, sizeof(survey->hba_file), "%.*s/pg_hba.conf", PATH_MAX - 32, setup->home.conf.data);
	(void) snprintf(survey->wal_level, sizeof(survey->wal_level), "replica");
	(void) snprintf(survey->hot_standby, sizeof(survey->hot_standby), "on");
	survey->wal_senders = survey->slots = 10;
	survey->hints = true;
	return true;
}

static bool
survey_data(PghaSetup *setup)
{
	PghaSurvey *survey = &setup->survey;
	PghaControl control;
	char		why[PGHA_WHY_SIZE];
	pid_t		pid;
	PghaRuns	runs = pgha_runs(setup->home.conf.data, &pid, why, sizeof(why));

	if (runs == PGHA_RUNS_UNKNOWN)
		return pgha_setup_refuse(setup, "End what still works on it, then run this again.",
								 "it cannot be told whether a server runs on \"%s\": %s", setup->home.conf.data, why);
	survey->running = runs == PGHA_RUNS_YES;
	if (!pgha_server_control(&setup->home.conf, &control, setup->error, sizeof(setup->error)))
		return false;
	survey->hints = control.checksums || control.wal_log_hints;
	survey->untouched = !survey->running && control.untouched;
	survey->standby = !pgha_missing_in(setup->home.conf.data, "standby.signal") || !pgha_missing_in(setup->home.conf.data, "recovery.signal");
	return true;
}

static bool
check_version(PghaSetup *setup)
{
	char		version[16];
	char	   *text;
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/PG_VERSION", setup->home.conf.data);
	text = pgha_read_file(path, NULL);
	(void) snprintf(version, sizeof(version), "%s", text != NULL ? text : "?");
	version[strcspn(version, "\n")] = '\0';
	free(text);
	return atoi(version) == PGHA_OWN_MAJOR ||
		pgha_setup_refuse(setup, "Call the pgha of that version.",
						  "\"%s\" is of version %s, and this program is for %d", setup->home.conf.data, version, PGHA_OWN_MAJOR);
}

bool
pgha_setup_survey(PghaSetup *setup)
{
	PghaSurvey *survey = &setup->survey;

	memset(survey, 0, sizeof(*survey));
	survey->hints = true;
	if (!setup->home.made && !setup->home.conf.config_outside)
		return survey_nothing(setup);
	if (setup->home.made && !check_version(setup))
		return false;
	return number(setup, "port", &survey->port) &&
		setting(setup, "listen_addresses", survey->listen, sizeof(survey->listen)) &&
		setting(setup, "unix_socket_directories", survey->sockets, sizeof(survey->sockets)) &&
		setting(setup, "hba_file", survey->hba_file, sizeof(survey->hba_file)) &&
		setting(setup, "wal_level", survey->wal_level, sizeof(survey->wal_level)) &&
		number(setup, "max_wal_senders", &survey->wal_senders) &&
		number(setup, "max_replication_slots", &survey->slots) &&
		setting(setup, "hot_standby", survey->hot_standby, sizeof(survey->hot_standby)) &&
		setting(setup, "shared_preload_libraries", survey->preload, sizeof(survey->preload)) &&
		setting(setup, "pgha.node", survey->node, sizeof(survey->node)) &&
		setting(setup, "pgha.members", survey->members, sizeof(survey->members)) &&
		setting(setup, "pgha.cluster", survey->cluster, sizeof(survey->cluster)) &&
		(!setup->home.made || survey_data(setup));
}

/* ---- what is to be written ---- */

/* Debian's clusters read conf.d; where that is not so it is beside the data directory. */
static bool
has_conf_d(const PghaSetup *setup, char *path)
{
	char		file[PATH_MAX + 32];
	char	   *text;
	bool		reads;

	pgha_parent_of(setup->home.conf.config_file, path);
	(void) snprintf(path + strlen(path), PATH_MAX - strlen(path), "/conf.d");
	(void) snprintf(file, sizeof(file), "%s", setup->home.conf.config_file);
	text = pgha_read_file(file, NULL);
	reads = text != NULL && strstr(text, "\ninclude_dir = 'conf.d'") != NULL && access(path, F_OK) == 0;
	free(text);
	return setup->home.conf.config_outside && reads;
}

void
pgha_setup_settings_path(const PghaSetup *setup, char *path)
{
	char		directory[PATH_MAX];

	if (has_conf_d(setup, directory))
		(void) snprintf(path, PATH_MAX, "%.*s/pgha.conf", PATH_MAX - 16, directory);
	else
		(void) snprintf(path, PATH_MAX, "%.*s/pgha.conf", PATH_MAX - 16, setup->home.conf.directory);
}

void
pgha_setup_passfile_path(const PghaSetup *setup, char *path)
{
	(void) snprintf(path, PATH_MAX, "%.*s/passfile", PATH_MAX - 16, setup->home.conf.directory);
}

/* Is the word in a list separated by commas? */
static bool
lists(const char *list, const char *word)
{
	size_t		length = strlen(word);

	while (*list != '\0')
	{
		list += strspn(list, ", \"'");
		if (strncmp(list, word, length) == 0 && strchr(", \"'", list[length]) != NULL)
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

static bool
reaches(const char *listen, const char *host)
{
	return lists(listen, "*") || lists(listen, host) || (strchr(host, ':') == NULL && lists(listen, "0.0.0.0")) ||
		(strchr(host, ':') != NULL && lists(listen, "::")) ||
		(lists(listen, "localhost") && (strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0));
}

/* Does the caller say it by --set? */
static bool
is_set(const PghaSetup *setup, const char *name)
{
	size_t		length = strlen(name);

	for (int i = 0; i < setup->setting_count; i++)
		if (strncasecmp(setup->setting[i], name, length) == 0 && setup->setting[i][length] == '=')
			return true;
	return false;
}

/* Did an earlier call, whose record is there, write this setting?  Then it is needed. */
static bool
was_written(const PghaSetup *setup, const char *name)
{
	char		path[PATH_MAX];
	char		line[128];
	char	   *text;
	bool		written;

	if (!setup->recorded)
		return false;
	pgha_setup_settings_path(setup, path);
	text = pgha_read_file(path, NULL);
	(void) snprintf(line, sizeof(line), "\n%s = ", name);
	written = text != NULL && strstr(text, line) != NULL;
	free(text);
	return written;
}

/* What the server needs so that it can be a member. */
static void
put_server(PghaSetup *setup, PghaForm form, PghaText *text)
{
	const PghaSurvey *survey = &setup->survey;
	const char *listen = form == PGHA_FORM_ADDED ? survey->listen : "localhost";
	int			senders = 2 * (setup->voters.voters - 1) + 2;
	char		list[2048];

	if (form != PGHA_FORM_ADDED)
	{
		pgha_text_put(text, "port = %d\n", setup->own->port);
		if (!is_set(setup, "unix_socket_directories") && setup->home.debian[0] == '\0' && access("/var/run/postgresql", W_OK) != 0)
			pgha_text_put_setting(text, "unix_socket_directories", setup->home.conf.directory);
	}
	if (form == PGHA_FORM_FIRST)
		pgha_text_put(text, "listen_addresses = ''\n");
	else if (!is_set(setup, "listen_addresses") && (form == PGHA_FORM_WHOLE || !reaches(listen, setup->own->host) || was_written(setup, "listen_addresses")))
	{
		(void) snprintf(list, sizeof(list), "%s%s%s", listen, listen[0] == '\0' || reaches(listen, setup->own->host) ? "" : ", ",
						reaches(listen, setup->own->host) ? "" : setup->own->host);
		pgha_text_put_setting(text, "listen_addresses", list);
	}
	if (strcmp(survey->wal_level, "minimal") == 0 || was_written(setup, "wal_level"))
		pgha_text_put(text, "wal_level = replica\n");
	if ((survey->wal_senders < senders || was_written(setup, "max_wal_senders")) && !is_set(setup, "max_wal_senders"))
		pgha_text_put(text, "max_wal_senders = %d\n", senders);
	if ((survey->slots < setup->voters.voters || was_written(setup, "max_replication_slots")) && !is_set(setup, "max_replication_slots"))
		pgha_text_put(text, "max_replication_slots = %d\n", setup->voters.voters + 2);
	if (strcmp(survey->hot_standby, "off") == 0 || was_written(setup, "hot_standby"))
		pgha_text_put(text, "hot_standby = on\n");
	if (!survey->hints || was_written(setup, "wal_log_hints"))
		pgha_text_put(text, "wal_log_hints = on\n");
}

static bool
put_settings(PghaSetup *setup, PghaForm form, PghaText *text)
{
	char		path[PATH_MAX];
	char		list[2048];
	char		conninfo[PGHA_CONNINFO_SIZE] = "user=pgha";

	text->length = 0;
	pgha_text_put(text, "# The settings of this node of pgha, written by \"pgha %s\".  \"pgha leave\" removes them.\n",
				  setup->record.joined ? "join" : "create");
	put_server(setup, form, text);
	if (form != PGHA_FORM_FIRST)
	{
		(void) snprintf(list, sizeof(list), "%s%s%s", setup->survey.preload, setup->survey.preload[0] == '\0' || lists(setup->survey.preload, "pgha") ? "" : ",",
						lists(setup->survey.preload, "pgha") ? "" : "pgha");
		pgha_text_put_setting(text, "shared_preload_libraries", list);
		pgha_text_put_setting(text, "pgha.cluster", setup->cluster);
		pgha_text_put_setting(text, "pgha.node", setup->node);
		pgha_text_put_setting(text, "pgha.members", setup->members);
		if (setup->witnesses[0] != '\0')
			pgha_text_put_setting(text, "pgha.witnesses", setup->witnesses);
		pgha_setup_passfile_path(setup, path);
		if (!pgha_conninfo_add(conninfo, sizeof(conninfo), "passfile", path))
			return pgha_setup_refuse(setup, NULL, "the path of the data directory is too long");
		pgha_text_put_setting(text, "pgha.conninfo", conninfo);
	}
	for (int i = 0; i < setup->setting_count; i++)
		if (form != PGHA_FORM_FIRST || strncmp(setup->setting[i], "unix_socket_directories=", 24) == 0)
			pgha_text_put_option(text, setup->setting[i]);
	return true;
}

/* Where the settings are not read by themselves: a line that reads them. */
static bool
plan_include(PghaSetup *setup, const char *settings)
{
	static PghaText text;
	char		parent[PATH_MAX];
	const char *name = strrchr(setup->home.conf.directory, '/') + 1;

	if (has_conf_d(setup, parent))
		return true;
	text.length = 0;
	/* Relative, so that a copy of the data directory, of the same name, does not bring along another node's. */
	if (!setup->home.conf.config_outside)
		pgha_text_put(&text, "include '../%s/pgha.conf'\n", name);
	else
		pgha_text_put(&text, "include '%s'\n", settings);
	return pgha_plan_lines(&setup->plan, setup->home.conf.config_file, &text, false, setup->error, sizeof(setup->error));
}

static bool
is_first_of_host(const PghaMembers *voters, int which)
{
	for (int i = 0; i < which; i++)
		if (strcmp(voters->member[i].host, voters->member[which].host) == 0)
			return false;
	return true;
}

bool
pgha_setup_plan(PghaSetup *setup, PghaForm form)
{
	static PghaText text;
	char		path[PATH_MAX];
	bool		done;

	pgha_plan_free(&setup->plan);
	text.length = 0;
	pgha_text_put_password(&text, "pgha", setup->password);
	pgha_setup_passfile_path(setup, path);
	done = pgha_plan_file(&setup->plan, path, &text, 0600, true, setup->error, sizeof(setup->error));
	explicit_bzero(&text, sizeof(text));
	pgha_setup_settings_path(setup, path);
	if (!done || !put_settings(setup, form, &text) ||
		!pgha_plan_file(&setup->plan, path, &text, 0644, false, setup->error, sizeof(setup->error)) ||
		!plan_include(setup, path))
		return false;
	text.length = 0;
	for (int i = 0; i < setup->voters.voters; i++)
		if (is_first_of_host(&setup->voters, i))
			pgha_text_put_login(&text, DATABASES, "pgha", setup->voters.member[i].host, strlen(setup->voters.member[i].host));
	if (setup->allow != NULL)
		pgha_text_put_logins(&text, DATABASES, "pgha", setup->allow);
	/* The first line that fits decides: these come before all others. */
	return pgha_plan_lines(&setup->plan, setup->survey.hba_file, &text, true, setup->error, sizeof(setup->error));
}

bool
pgha_setup_plan_is_ours(PghaSetup *setup)
{
	for (int i = 0; i < setup->plan.count; i++)
	{
		const PghaEdit *edit = &setup->plan.edit[i];
		bool		ours = edit->before == NULL || edit->lines != NULL;

		/* What "pgha leave" has left. */
		ours |= setup->record.made_data && strncmp(edit->path, setup->home.conf.directory, strlen(setup->home.conf.directory)) == 0;
		for (int j = 0; j < setup->record.count; j++)
			ours |= strcmp(setup->record.file[j].path, edit->path) == 0;
		if (!ours)
			return pgha_setup_refuse(setup, "Move it away, or take its settings over by --set; then run this again.",
									 "file \"%s\" is there, and was not written by pgha", edit->path);
	}
	return true;
}

bool
pgha_setup_confirm(PghaSetup *setup)
{
	(void) fflush(stdout);
	if (setup->yes)
		return true;
	if (!pgha_can_ask())
		return pgha_setup_refuse(setup, "--yes goes on without asking, --dry-run only shows it.", "there is no terminal to ask on whether to go on");
	return pgha_confirm("Go on? [y/N] ") || pgha_setup_refuse(setup, NULL, "nothing was changed");
}

/* ---- what has become of it ---- */

PGconn *
pgha_setup_login(PghaSetup *setup, const char *host, int port)
{
	char		text[16];
	char		schema[256];
	const char *names[] = {"host", "port", "user", "password", "dbname", "connect_timeout", "client_encoding", "application_name", NULL};
	const char *values[] = {host, text, "pgha", setup->password, "postgres", "5", "UTF8", "pgha", NULL};
	PGconn	   *conn;

	(void) snprintf(text, sizeof(text), "%d", port);
	conn = pgha_connect_quietly(names, values, 0, NULL);
	if (PQstatus(conn) == CONNECTION_OK)
	{
		/* The extension may be in any schema. */
		(void) pgha_setup_value(conn, "SELECT pg_catalog.set_config('search_path', 'pg_catalog, ' || pg_catalog.quote_ident(n.nspname), false)"
								" FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
								" WHERE e.extname = 'pgha'", NULL, schema, sizeof(schema), setup->error, sizeof(setup->error));
		return conn;
	}
	(void) pgha_setup_refuse(setup, NULL, "%s", PQerrorMessage(conn));
	pgha_shown(setup->error, false);
	PQfinish(conn);
	return NULL;
}

bool
pgha_setup_wait(PghaSetup *setup, const char *condition, const char *what)
{
	long long	start = pgha_awake_ms();
	char		query[512];
	char		value[64] = "";

	(void) snprintf(query, sizeof(query), "SELECT %s FROM pgha_status()", condition);
	while (strcmp(value, "t") != 0)
	{
		struct timespec pause = {.tv_nsec = 100000000};
		PGconn	   *conn = pgha_setup_login(setup, setup->own->host, setup->own->port);

		if (conn != NULL)
			(void) pgha_setup_value(conn, query, setup->node, value, sizeof(value), setup->error, sizeof(setup->error));
		PQfinish(conn);
		if (strcmp(value, "t") == 0)
			break;
		if (pgha_setup_interrupted(NULL))
			return pgha_setup_refuse(setup, NULL, "interrupted");
		if (pgha_awake_ms() - start > PGHA_SETUP_LIMIT_MS)
			return pgha_setup_refuse(setup, NULL, "%s%s%s", what, setup->error[0] != '\0' ? ": " : "", setup->error);
		(void) nanosleep(&pause, NULL);
	}
	setup->error[0] = '\0';
	return true;
}

void
pgha_setup_agent(PghaSetup *setup)
{
	char		command[2 * PATH_MAX + 64];
	char		error[1024];

	pgha_home_agent_command(&setup->home, command, sizeof(command));
	if (pgha_home_agent_runs(&setup->home))
		return;
	if (setup->home.agent_unit && setup->home.as_root)
	{
		if (pgha_home_enable_agent(&setup->home, error, sizeof(error)))
			printf("The agent runs (%s).\n", command);
		else
			pgha_error(stderr, "See what systemd says of the unit, and run this again.", "the agent could not be started: %s", error);
		return;
	}
	printf("The agent, which brings this node back after a failure, does not run yet.  As %s, as a service or by hand:\n  %s\n",
		   setup->home.agent_unit ? "root" : setup->home.owner, command);
}

bool
pgha_setup_go_on(PghaSetup *setup)
{
	pgha_setup_step();
	return !pgha_setup_interrupted(NULL) || pgha_setup_refuse(setup, NULL, "interrupted");
}

bool
pgha_setup_write_record(PghaSetup *setup, const PghaPlan *plan)
{
	return pgha_record_write(setup->home.conf.directory, &setup->record, plan, setup->error, sizeof(setup->error)) &&
		pgha_setup_go_on(setup);
}

bool
pgha_setup_take_option(PghaSetup *setup, int letter)
{
	switch (letter)
	{
		case 'D':
			setup->data = optarg;
			return true;
		case PGHA_SETUP_CLUSTER:
			setup->debian = optarg;
			return true;
		case 'n':
			setup->node = optarg;
			return pgha_name_valid(optarg);
		case PGHA_SETUP_ALLOW:
			setup->allow = optarg;
			return pgha_login_list_valid(optarg);
		case PGHA_SETUP_PWFILE:
			setup->pwfile = optarg;
			return true;
		case 's':
			return pgha_setup_add_setting(setup, optarg);
		case PGHA_SETUP_DRY_RUN:
			return setup->dry_run = true;
		case PGHA_SETUP_YES:
			return setup->yes = true;
		default:
			return false;
	}
}
