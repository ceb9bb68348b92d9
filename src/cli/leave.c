/*
 * leave.c
 *		`pgha leave`: takes a node out of its cluster, and removes what was set up.
 *
 * By the record of `pgha create` and `pgha join` (setup_plan.h), which goes last: a
 * call that was killed is repeated.  What was changed since is kept as a copy, and
 * so is what the node has voted; data are left alone.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "../host/conf_syntax.h"
#include "../host/durable.h"
#include "setup_database.h"
#include "setup_node.h"
#include "subcommands.h"

#define FORGET_LIMIT_MS		30000

typedef struct Leave
{
	PghaSetup	setup;
	bool		drop;
	bool		force;
	PghaAddress primary;		/* of a standby; host "": not known */
	char		time[32];
} Leave;

/* ---- what is found ---- */

/* Who leads, as the server here knows; it may know of nobody. */
static void
find_primary(Leave *leave)
{
	PghaSetup  *setup = &leave->setup;
	PGconn	   *conn = pgha_database_connect(setup);
	PghaMembers one;
	char		address[PGHA_HOST_SIZE + 128];
	char		ignored[512];
	char		schema[256];

	if (conn == NULL)
		return;
	if (pgha_setup_value(conn, "SELECT pg_catalog.set_config('search_path', 'pg_catalog, ' || pg_catalog.quote_ident(n.nspname), false)"
						 " FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
						 " WHERE e.extname = 'pgha'", NULL, schema, sizeof(schema), ignored, sizeof(ignored)) &&
		pgha_setup_value(conn, "SELECT 'x=' || c.address FROM pgha_cluster() c, pgha_status() s WHERE c.node = s.leader AND s.role <> 'primary'",
						 NULL, address, sizeof(address), ignored, sizeof(ignored)) &&
		pgha_members_parse(address, &one, ignored, sizeof(ignored)) && one.count == 1)
		leave->primary = one.member[0];
	PQfinish(conn);
}

static bool
check(Leave *leave)
{
	PghaSetup  *setup = &leave->setup;
	PghaFound	found = {0};

	if (!setup->recorded || (setup->record.made_data && setup->record.count == 0))
		return pgha_setup_refuse(setup, "doc/install.md says how a node that was set up by hand is taken out.",
								 "\"%s\" is no node that was set up by \"pgha create\" or \"pgha join\"", setup->home.conf.data);
	if (pgha_home_agent_runs(&setup->home) && !(setup->home.agent_unit && setup->home.as_root) && !setup->dry_run)
		return pgha_setup_refuse(setup, setup->home.agent_unit ? "Run this as root, which ends it." : "End it first; it would start the server again.",
								 "an agent works on \"%s\"", setup->home.conf.data);
	if (!setup->home.made)
		return true;
	if (!pgha_setup_survey(setup))
		return false;
	if (pgha_home_needs_root(&setup->home) && !setup->dry_run)
		return pgha_setup_refuse(setup, "Run it as root.", "systemd runs the server");
	if (!setup->survey.running || !pgha_database_look(setup, &found))
	{
		setup->error[0] = '\0';
		return true;
	}
	if (found.recovery)
		find_primary(leave);
	return leave->force || found.recovery || found.others == 0 ||
		pgha_setup_refuse(setup, "Move the primary with \"pgha switchover\" first; --force leaves them without it.",
						  "%d standbys stream from \"%s\"", found.others, setup->survey.node);
}

/* ---- what is removed ---- */

/* Of a server that we have made: what it needs to run on as it does. */
static bool
without_pgha(const char *path, PghaText *text)
{
	char	   *written = pgha_read_file(path, NULL);
	char	   *rest = written;

	text->length = 0;
	pgha_text_put(text, "# The settings of this server, which \"pgha create\" or \"pgha join\" has made; left by \"pgha leave\".\n");
	for (char *line; written != NULL && (line = strsep(&rest, "\n")) != NULL;)
	{
		char		name[8192];
		char		value[8192];

		if (line[0] != '\0' && line[0] != '#' && strlen(line) < sizeof(name) && pgha_conf_split_line(line, name, value) &&
			strncasecmp(name, "pgha.", 5) != 0 && strcasecmp(name, "shared_preload_libraries") != 0)
			pgha_text_put(text, "%s\n", line);
	}
	free(written);
	return pgha_text_fits(text);
}

static bool
is_changed(const PghaRecord *record, int which)
{
	char	   *text = pgha_read_file(record->file[which].path, NULL);
	bool		changed = text != NULL && pgha_record_hash(text) != record->file[which].hash;

	free(text);
	return changed;
}

static bool
plan(Leave *leave)
{
	static PghaText text;
	PghaSetup  *setup = &leave->setup;
	char		settings[PATH_MAX];

	pgha_setup_settings_path(setup, settings);
	for (int i = 0; i < setup->record.count; i++)
	{
		const char *path = setup->record.file[i].path;
		bool		stays = setup->record.made_data && setup->home.made;
		bool		reduced = stays && strcmp(path, settings) == 0;
		bool		planned;

		/* The line that reads them stays then, too. */
		if (stays && setup->record.file[i].lines && strcmp(path, setup->survey.hba_file) != 0)
			continue;
		planned = setup->record.file[i].lines ? pgha_plan_take_out(&setup->plan, path, setup->error, sizeof(setup->error)) :
			(!reduced || without_pgha(path, &text)) &&
			pgha_plan_remove(&setup->plan, path, reduced ? &text : NULL, setup->error, sizeof(setup->error));
		if (!planned)
			return false;
	}
	return true;
}

static void
show(const Leave *leave)
{
	const PghaSetup *setup = &leave->setup;

	printf("Node %s leaves: data directory %s\n\n", setup->survey.node[0] != '\0' ? setup->survey.node : "(not set up wholly)", setup->home.conf.data);
	pgha_plan_show(&setup->plan, stdout);
	for (int i = 0; i < setup->record.count; i++)
		if (!setup->record.file[i].lines && is_changed(&setup->record, i))
			printf("%s was changed since it was written: it is kept as %s.left-%s\n\n", setup->record.file[i].path, setup->record.file[i].path, leave->time);
	if (!setup->home.made)
		return;
	if (setup->survey.standby)
		printf("The server, a standby, is stopped; its data stay.\n");
	else
		printf("The server is %s without pgha; the slots of the members are dropped%s.\n", setup->survey.running ? "restarted" : "started once, and stopped again,",
			   leave->drop ? ", and the extension and the role if they were made by \"pgha create\"" : "; the extension and the role stay");
	if (setup->record.kept[0] != '\0')
		printf("The former data directory is still in %s.\n", setup->record.kept);
	printf("\n");
}

/* ---- doing it ---- */

static bool
keep_changed(Leave *leave)
{
	PghaSetup  *setup = &leave->setup;

	for (int i = 0; i < setup->record.count; i++)
	{
		char		copy[PATH_MAX + 64];

		if (setup->record.file[i].lines || !is_changed(&setup->record, i))
			continue;
		(void) snprintf(copy, sizeof(copy), "%s.left-%s", setup->record.file[i].path, leave->time);
		if (!pgha_copy_file(setup->record.file[i].path, copy))
			return pgha_setup_refuse(setup, NULL, "could not copy \"%s\" to \"%s\": %s", setup->record.file[i].path, copy, strerror(errno));
	}
	return true;
}

/* What the node has voted and seen, out of the way of another cluster. */
static bool
move_state(Leave *leave)
{
	static const char *const names[] = {"pgha.state", "pgha.slots", "pgha.events"};
	PghaSetup  *setup = &leave->setup;
	char		from[PATH_MAX + 32];
	char		to[PATH_MAX + 96];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		(void) snprintf(from, sizeof(from), "%s/%s", setup->home.conf.data, names[i]);
		(void) snprintf(to, sizeof(to), "%s/%s.left-%s", setup->home.conf.directory, names[i], leave->time);
		if (access(from, F_OK) != 0 && errno == ENOENT)
			continue;
		if (!pgha_copy_file(from, to) || unlink(from) != 0 || !pgha_sync_path(setup->home.conf.data))
			return pgha_setup_refuse(setup, NULL, "could not move \"%s\" to \"%s\": %s", from, to, strerror(errno));
	}
	return true;
}

static bool
go_on_alone(Leave *leave, bool was_running)
{
	PghaSetup  *setup = &leave->setup;

	return pgha_home_start(&setup->home, setup->error, sizeof(setup->error)) &&
		pgha_setup_survey(setup) &&
		pgha_database_drop(setup, leave->drop && setup->record.made_extension, leave->drop && setup->record.made_role, true) &&
		(was_running || pgha_home_stop(&setup->home, setup->error, sizeof(setup->error)));
}

/* The primary has to see first that the server is down. */
static bool
ask_to_forget(PghaSetup *setup, PGconn *conn)
{
	long long	start = pgha_awake_ms();
	struct timespec pause = {.tv_nsec = 500000000};
	char		value[16];

	while (!pgha_setup_value(conn, "SELECT pgha_remove_member($1::text)", setup->survey.node, value, sizeof(value), setup->error, sizeof(setup->error)))
	{
		bool		down = strstr(setup->error, "running") != NULL || strstr(setup->error, "is down") != NULL;

		if (!down || pgha_awake_ms() - start > FORGET_LIMIT_MS || pgha_setup_interrupted(NULL))
			return false;
		(void) nanosleep(&pause, NULL);
	}
	return true;
}

/* The others: the primary has their agents take it off their lists. */
static void
have_it_forgotten(Leave *leave)
{
	PghaSetup  *setup = &leave->setup;
	PGconn	   *conn = leave->primary.host[0] != '\0' && setup->password[0] != '\0' ?
		pgha_setup_login(setup, leave->primary.host, leave->primary.port) : NULL;

	setup->error[conn != NULL ? 0 : strlen(setup->error)] = '\0';
	if (conn != NULL && ask_to_forget(setup, conn))
		printf("The others have taken \"%s\" off their lists.\n", setup->survey.node);
	else
		printf("The other members still know it%s%s.  On the primary, as a superuser:\n  SELECT pgha_remove_member('%s');\n",
			   setup->error[0] != '\0' ? ": " : "", pgha_shown(setup->error, false), setup->survey.node);
	PQfinish(conn);
}

static void
read_password(PghaSetup *setup)
{
	char		path[PATH_MAX];
	char	   *text;

	pgha_setup_passfile_path(setup, path);
	text = pgha_read_file(path, NULL);
	if (text != NULL && !pgha_password_parse(text, setup->password, sizeof(setup->password)))
		setup->password[0] = '\0';
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static bool
carry_out(Leave *leave)
{
	PghaSetup  *setup = &leave->setup;
	bool		was_running = setup->survey.running;

	read_password(setup);
	if (setup->home.agent_unit && setup->home.as_root && !pgha_home_disable_agent(&setup->home, setup->error, sizeof(setup->error)))
		return false;
	if (setup->home.made && !pgha_home_stop(&setup->home, setup->error, sizeof(setup->error)))
		return false;
	pgha_setup_step();
	if (!keep_changed(leave) || !pgha_plan_write(&setup->plan, setup->plan.count, setup->error, sizeof(setup->error)))
		return false;
	if (setup->home.made && !move_state(leave))
		return false;
	pgha_setup_step();
	if (setup->home.made && !setup->survey.standby && !go_on_alone(leave, was_running))
		return false;
	pgha_setup_step();
	if (setup->record.made_data && setup->home.made)
	{
		/* That it may be set up anew with another port is all that stays of it. */
		setup->record.count = 0;
		setup->record.done = setup->record.joined = false;
		setup->record.made_role &= !leave->drop;
		setup->record.made_extension &= !leave->drop;
		return pgha_record_write(setup->home.conf.directory, &setup->record, NULL, setup->error, sizeof(setup->error));
	}
	if (!pgha_record_remove(setup->home.conf.directory, setup->error, sizeof(setup->error)))
		return false;
	(void) rmdir(setup->home.conf.directory);
	return true;
}

/* As the owner of the server. */
static int
work(PghaHome *home, void *arg)
{
	Leave	   *leave = arg;
	PghaSetup  *setup = &leave->setup;
	char		node[PGHA_NAME_SIZE];
	time_t		now = time(NULL);
	struct tm	utc;

	(void) home;
	pgha_setup_catch_signals();
	pgha_setup_forget_environment();
	(void) strftime(leave->time, sizeof(leave->time), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
	if (!pgha_record_read(setup->home.conf.directory, &setup->record, &setup->recorded, setup->error, sizeof(setup->error)) ||
		!check(leave) || !plan(leave))
		return pgha_setup_error(setup);
	show(leave);
	if (setup->dry_run)
	{
		printf("Nothing was changed (--dry-run).\n");
		return EXIT_OK;
	}
	(void) snprintf(node, sizeof(node), "%s", setup->survey.node);
	if (!pgha_setup_confirm(setup))
		return pgha_setup_error(setup);
	if (!carry_out(leave))
	{
		(void) snprintf(setup->hint, sizeof(setup->hint), "The same command goes on from here.");
		return pgha_setup_error(setup);
	}
	(void) snprintf(setup->survey.node, sizeof(setup->survey.node), "%s", node);
	if (setup->survey.standby && node[0] != '\0')
		have_it_forgotten(leave);
	printf("Done.\n");
	explicit_bzero(setup->password, sizeof(setup->password));
	return EXIT_OK;
}

int
pgha_leave_main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"pgdata", required_argument, NULL, 'D'},
		{"cluster", required_argument, NULL, 'c'},
		{"drop", no_argument, NULL, 'x'},
		{"force", no_argument, NULL, 'f'},
		{"dry-run", no_argument, NULL, 'n'},
		{"yes", no_argument, NULL, 'y'},
		{NULL, 0, NULL, 0}
	};
	static Leave leave;
	PghaSetup  *setup = &leave.setup;
	int			letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "D:f", long_options, NULL)) != -1)
	{
		if (letter == '?' || letter == ':')
			return pgha_usage_error("leave", "\"%s\" is not an option, or its value is missing", argv[optind - 1]);
		setup->data = letter == 'D' ? optarg : setup->data;
		setup->debian = letter == 'c' ? optarg : setup->debian;
		leave.drop |= letter == 'x';
		leave.force |= letter == 'f';
		setup->dry_run |= letter == 'n';
		setup->yes |= letter == 'y';
	}
	if (optind != argc)
		return pgha_usage_error("leave", "\"%s\" is too much", argv[optind]);
	if (setup->data != NULL && setup->debian != NULL)
		return pgha_usage_error("leave", "-D and --cluster exclude each other");
	if (!pgha_home_find(&setup->home, setup->data, setup->debian, true, setup->error, sizeof(setup->error), setup->hint, sizeof(setup->hint)))
		return pgha_setup_error(setup);
	return pgha_home_run(&setup->home, work, &leave);
}
