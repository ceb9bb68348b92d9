/*
 * join.c
 *		`pgha join`: makes a new standby of a cluster, on its host, by one command.
 *
 * Here is what its options say, what is found, shown and told; join_fetch.c asks
 * the cluster, join_make.c does it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common/errors.h"
#include "../common/log.h"
#include "../host/durable.h"
#include "join_fetch.h"
#include "join_make.h"
#include "setup_database.h"
#include "subcommands.h"

enum
{
	OPTION_FROM = 256, OPTION_ADDRESS, OPTION_REPLACE
};

static bool
take_option(PghaJoin *join, int letter)
{
	PghaSetup  *setup = &join->setup;

	switch (letter)
	{
		case OPTION_FROM:
			join->from = optarg;
			return pgha_fits_a_line(optarg);
		case OPTION_ADDRESS:
			join->address = optarg;
			return pgha_login_list_valid(optarg) || optarg[0] == '[';
		case OPTION_REPLACE:
			return join->replace_data = true;
		default:
			return pgha_setup_take_option(setup, letter);
	}
}

/* That of an earlier call, of the file, or from the terminal; an exit code. */
static int
take_password(PghaSetup *setup)
{
	char		path[PATH_MAX];
	char	   *text;
	bool		taken = setup->password[0] != '\0';

	pgha_setup_passfile_path(setup, path);
	text = !taken && setup->recorded ? pgha_read_file(path, NULL) : NULL;
	if (text != NULL)
	{
		taken = pgha_password_parse(text, setup->password, sizeof(setup->password));
		explicit_bzero(text, strlen(text));
		free(text);
	}
	return taken ? EXIT_OK : pgha_password_take(NULL, false, setup->password, sizeof(setup->password));
}

/* ---- what is found ---- */

/* May the data that are there make room? */
static bool
check_data(PghaJoin *join)
{
	PghaSetup  *setup = &join->setup;

	if (pgha_home_agent_runs(&setup->home))
		return pgha_setup_refuse(setup, "End it first.", "an agent works on \"%s\"", setup->home.conf.data);
	if (!setup->home.made || setup->record.made_data)
		return true;
	if (pgha_home_needs_root(&setup->home))
		return pgha_setup_refuse(setup, "Run it as root.", "systemd runs the server on \"%s\"", setup->home.conf.data);
	if (join->replace_data || (setup->survey.running ? pgha_database_is_empty(setup) : setup->survey.untouched))
	{
		setup->error[0] = '\0';
		return true;
	}
	return pgha_setup_refuse(setup, "--replace-data moves it aside, and keeps it.", setup->survey.running ? "there are data in \"%s\"" :
							 "there is a data directory in \"%s\" whose server does not run: it is not known whether it holds data", setup->home.conf.data);
}

static void
show(const PghaJoin *join)
{
	const PghaSetup *setup = &join->setup;

	printf("Node %s of cluster %s, a standby of the primary at %s:%d: data directory %s, user %s\n\n", setup->node, setup->cluster,
		   join->primary.host, join->primary.port, setup->home.conf.data, setup->home.owner);
	pgha_plan_show(&setup->plan, stdout);
	if (join->adds)
		printf("On the primary: SELECT pgha_add_member('%s', '%s'), by which the agents write it into pgha.members of all nodes.\n", setup->node, join->own);
	if (setup->home.made && !setup->record.made_data)
		printf("The data directory that is there is kept as %s.old-%s.\n", setup->home.conf.data, join->time);
	if (!setup->record.made_data || !setup->home.made)
		printf("The data are copied from the primary by pg_basebackup; ");
	printf("the server is started.\n\n");
}

/* An earlier call; an exit code, or -1 to go on. */
static int
look_at_former(PghaSetup *setup)
{
	if (!setup->recorded || setup->record.count == 0)
		return -1;
	if (setup->record.done && setup->survey.node[0] != '\0')
	{
		if (strcmp(setup->survey.node, setup->node) == 0 && setup->record.joined)
		{
			printf("\"%s\" is node %s already; nothing is to be done.\n", setup->home.conf.data, setup->node);
			return EXIT_OK;
		}
		(void) pgha_setup_refuse(setup, "\"pgha leave\" takes a node out of its cluster.", "\"%s\" is node \"%s\" already", setup->home.conf.data, setup->survey.node);
		return pgha_setup_error(setup);
	}
	if (setup->record.joined)
		return -1;
	(void) pgha_setup_refuse(setup, "Run \"pgha create\" again, or \"pgha leave\".", "\"%s\" was begun by \"pgha create\"", setup->home.conf.data);
	return pgha_setup_error(setup);
}

/* As the owner of the server. */
static int
work(PghaHome *home, void *arg)
{
	PghaJoin   *join = arg;
	PghaSetup  *setup = &join->setup;
	time_t		now = time(NULL);
	struct tm	utc;
	int			code;

	(void) home;
	pgha_setup_forget_environment();
	(void) strftime(join->time, sizeof(join->time), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
	if (!pgha_record_read(setup->home.conf.directory, &setup->record, &setup->recorded, setup->error, sizeof(setup->error)) ||
		!pgha_setup_survey(setup))
		return pgha_setup_error(setup);
	if ((code = look_at_former(setup)) >= 0 || (code = take_password(setup)) != EXIT_OK)
		return code;
	pgha_setup_catch_signals();
	if (setup->record.count == 0)
		setup->record.made_data = false;	/* what "pgha leave" has left is as good as any other */
	setup->record.joined = true;
	if (!check_data(join) || !pgha_join_fetch(join) || !pgha_setup_plan(setup, PGHA_FORM_WHOLE) || !pgha_setup_plan_is_ours(setup))
		return pgha_setup_error(setup);
	show(join);
	if (setup->dry_run)
	{
		printf("Nothing was changed (--dry-run).\n");
		return EXIT_OK;
	}
	if (!pgha_setup_confirm(setup) || !pgha_join_make(join))
		return pgha_setup_error(setup);
	printf("Node %s streams from the primary.\n", setup->node);
	pgha_setup_agent(setup);
	return EXIT_OK;
}

int
pgha_join_main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"from", required_argument, NULL, OPTION_FROM},
		{"address", required_argument, NULL, OPTION_ADDRESS},
		{"replace-data", no_argument, NULL, OPTION_REPLACE},
		PGHA_SETUP_LONG_OPTIONS,
		{NULL, 0, NULL, 0}
	};
	static PghaJoin join;
	PghaSetup  *setup = &join.setup;
	int			letter;
	int			code;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "D:n:s:", long_options, NULL)) != -1)
	{
		if (letter == '?' || letter == ':')
			return pgha_usage_error("join", "\"%s\" is not an option, or its value is missing", argv[optind - 1]);
		if (!take_option(&join, letter))
			return pgha_usage_error("join", "\"%s\" is not a value of that option", optarg);
	}
	if (optind != argc)
		return pgha_usage_error("join", "\"%s\" is too much", argv[optind]);
	if (setup->node == NULL || join.from == NULL)
		return pgha_usage_error("join", "%s is missing", setup->node == NULL ? "--node" : "--from");
	if (setup->data != NULL && setup->debian != NULL)
		return pgha_usage_error("join", "-D and --cluster exclude each other");
	if (!pgha_home_find(&setup->home, setup->data, setup->debian, true, setup->error, sizeof(setup->error), setup->hint, sizeof(setup->hint)))
		return pgha_setup_error(setup);
	/* A file of the caller's, who may be root. */
	if (setup->pwfile != NULL && (code = pgha_password_take(setup->pwfile, false, setup->password, sizeof(setup->password))) != EXIT_OK)
		return code;
	code = pgha_home_run(&setup->home, work, &join);
	explicit_bzero(setup->password, sizeof(setup->password));
	return code;
}
