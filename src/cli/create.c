/*
 * create.c
 *		`pgha create`: makes a server the first node of a cluster, by one command.
 *
 * Here is what its options say, what is found, shown and told; create_make.c does it.
 */
#include "create_make.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"
#include "../common/log.h"
#include "../host/durable.h"
#include "subcommands.h"

enum
{
	OPTION_NAME = 256
};

static bool
take_option(PghaSetup *setup, int letter)
{
	switch (letter)
	{
		case 'm':
			return pgha_fits_a_line(optarg) &&
				snprintf(setup->members, sizeof(setup->members), "%s", optarg) < (int) sizeof(setup->members);
		case 'w':
			return pgha_fits_a_line(optarg) &&
				snprintf(setup->witnesses, sizeof(setup->witnesses), "%s", optarg) < (int) sizeof(setup->witnesses);
		case OPTION_NAME:
			return pgha_name_valid(optarg) &&
				snprintf(setup->cluster, sizeof(setup->cluster), "%s", optarg) < (int) sizeof(setup->cluster);
		default:
			return pgha_setup_take_option(setup, letter);
	}
}

/* ---- what is found ---- */

/* pg_dropcluster leaves conf.d, and pg_createcluster takes what it finds there. */
static bool
is_left_over(const PghaSetup *setup, char *path)
{
	char	   *text;
	bool		ours;

	if (setup->recorded)
		return false;
	pgha_setup_settings_path(setup, path);
	text = pgha_read_file(path, NULL);
	ours = text != NULL && strstr(text, ", written by \"pgha ") != NULL;
	free(text);
	return ours;
}

/* What an earlier call, or somebody by hand, has set up; an exit code, or -1 to go on. */
static int
look_at_former(PghaSetup *setup)
{
	const PghaSurvey *survey = &setup->survey;
	bool		node = strcmp(survey->node, setup->node) == 0;
	bool		members = strcmp(survey->members, setup->members) == 0;
	bool		cluster = strcmp(survey->cluster[0] != '\0' ? survey->cluster : "main", setup->cluster) == 0;
	char		path[PATH_MAX];

	if (survey->node[0] == '\0' || (setup->recorded && !setup->record.done))
		return -1;
	if (is_left_over(setup, path))
	{
		(void) pgha_setup_refuse(setup, "Remove it if that is so, and restart the server; then run this again.",
								 "file \"%s\" is one of \"pgha create\" or \"pgha join\", but \"%s\" has no record of it: it may be left of a cluster that was removed",
								 path, setup->home.conf.directory);
		return pgha_setup_error(setup);
	}
	if (node && members && cluster)
	{
		printf("\"%s\" is node %s of cluster %s already; nothing is to be done.\n", setup->home.conf.data, setup->node, setup->cluster);
		return EXIT_OK;
	}
	(void) pgha_setup_refuse(setup, node && cluster ? "Members are changed on a cluster that runs: see doc/create.md." :
							 "\"pgha leave\" takes a node out of its cluster.",
							 "\"%s\" is node \"%s\" of cluster \"%s\" already; what differs:%s%s%s", setup->home.conf.data, survey->node,
							 survey->cluster[0] != '\0' ? survey->cluster : "main", node ? "" : " the name", cluster ? "" : " the cluster",
							 members ? "" : " the members");
	return pgha_setup_error(setup);
}

static bool
check(PghaSetup *setup)
{
	PghaSurvey *survey = &setup->survey;
	PghaFound	found = {0};
	char		hint[512];
	bool		begun = setup->recorded && strcmp(survey->node, setup->node) == 0;

	/* One that an earlier call has restarted waits as a standby until it may lead again. */
	if (survey->standby && !begun)
		return pgha_setup_refuse(setup, "Run it on the primary; \"pgha join\" makes the others.", "the server on \"%s\" is a standby", setup->home.conf.data);
	if (setup->home.made && !setup->record.made_data && survey->port != setup->own->port)
	{
		(void) snprintf(hint, sizeof(hint), "Write %s=%s:%d, or change the server's port.", setup->node, setup->own->host, survey->port);
		return pgha_setup_refuse(setup, hint, "member \"%s\" is to have port %d, but the server here has %d", setup->node, setup->own->port, survey->port);
	}
	if (setup->home.made && survey->running && !pgha_home_agent_runs(&setup->home))
	{
		if (!pgha_database_look(setup, &found))
			return false;
		if (found.recovery && !begun)
			return pgha_setup_refuse(setup, "Run it on the primary; \"pgha join\" makes the others.", "the server on \"%s\" is a standby", setup->home.conf.data);
		if (found.role && !setup->record.made_role && setup->pwfile == NULL)
			return pgha_setup_refuse(setup, "Give the password that it has with --pwfile.", "there is a role \"pgha\" already, and its password is not known");
	}
	return !pgha_home_agent_runs(&setup->home) ||
		pgha_setup_refuse(setup, "End it first.", "an agent works on \"%s\"", setup->home.conf.data);
}

/* That of an earlier call, which others may have got; else what is given, or a new one. */
static bool
take_password(PghaSetup *setup)
{
	char		path[PATH_MAX];
	char	   *text;
	bool		taken = false;

	pgha_setup_passfile_path(setup, path);
	text = setup->recorded && setup->password[0] == '\0' ? pgha_read_file(path, NULL) : NULL;
	if (text != NULL)
	{
		taken = pgha_password_parse(text, setup->password, sizeof(setup->password));
		explicit_bzero(text, strlen(text));
		free(text);
	}
	return taken || setup->password[0] != '\0' || pgha_password_make(setup->password) ||
		pgha_setup_refuse(setup, NULL, "no password could be made");
}

static void
show(const PghaSetup *setup)
{
	printf("Node %s of cluster %s: data directory %s%s, user %s\n\n", setup->node, setup->cluster, setup->home.conf.data,
		   !setup->home.made ? " (made by initdb, with data checksums)" : setup->survey.running ? "" : " (the server does not run)",
		   setup->home.owner);
	pgha_plan_show(&setup->plan, stdout);
	printf("In the database postgres: the role pgha, with the password of the passfile; the extension pgha;\n"
		   "SELECT pgha_setup_role('pgha')%s\n"
		   "Then the server is %s.\n\n", setup->allow != NULL ? "; and the right to add members" : "",
		   setup->survey.running ? "restarted" : "started");
}

static void
tell(const PghaSetup *setup)
{
	char		path[PATH_MAX];

	pgha_setup_passfile_path(setup, path);
	printf("Node %s leads cluster %s.\n", setup->node, setup->cluster);
	for (int i = 0; i < setup->voters.count; i++)
	{
		const PghaAddress *member = &setup->voters.member[i];

		if (member == setup->own)
			continue;
		printf("\nThe next one, on its host:\n"
			   "  pgha join --node %s --from %s:%d --pwfile FILE\n"
			   "The password, as FILE or to be typed, is in %s on this host.\n", member->name,
			   setup->own->host, setup->own->port, path);
		break;
	}
	printf("\n");
}

/* As the owner of the server. */
static int
work(PghaHome *home, void *arg)
{
	PghaSetup  *setup = arg;
	int			code;

	(void) home;
	pgha_setup_catch_signals();
	pgha_setup_forget_environment();
	if (!pgha_record_read(setup->home.conf.directory, &setup->record, &setup->recorded, setup->error, sizeof(setup->error)) ||
		!pgha_setup_survey(setup))
		return pgha_setup_error(setup);
	if ((code = look_at_former(setup)) >= 0)
		return code;
	if (setup->recorded && setup->record.joined)
		(void) pgha_setup_refuse(setup, "Run \"pgha join\" again, or \"pgha leave\".", "\"%s\" was begun by \"pgha join\"", setup->home.conf.data);
	if (setup->error[0] != '\0' || !check(setup) || !take_password(setup) ||
		!pgha_setup_plan(setup, setup->home.made && !setup->record.made_data ? PGHA_FORM_ADDED : PGHA_FORM_WHOLE) ||
		!pgha_setup_plan_is_ours(setup))
		return pgha_setup_error(setup);
	show(setup);
	if (setup->dry_run)
	{
		printf("Nothing was changed (--dry-run).\n");
		return EXIT_OK;
	}
	if (!pgha_setup_confirm(setup))
		return pgha_setup_error(setup);
	if (!pgha_create_make(setup))
		return pgha_setup_error(setup);
	if (setup->record.done)
		tell(setup);
	pgha_setup_agent(setup);
	return EXIT_OK;
}

int
pgha_create_main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"members", required_argument, NULL, 'm'},
		{"witnesses", required_argument, NULL, 'w'},
		{"name", required_argument, NULL, OPTION_NAME},
		PGHA_SETUP_LONG_OPTIONS,
		{NULL, 0, NULL, 0}
	};
	static PghaSetup setup = {.cluster = "main"};
	int			letter;
	int			code;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "D:n:m:w:s:", long_options, NULL)) != -1)
	{
		if (letter == '?' || letter == ':')
			return pgha_usage_error("create", "\"%s\" is not an option, or its value is missing", argv[optind - 1]);
		if (!take_option(&setup, letter))
			return pgha_usage_error("create", "\"%s\" is not a value of that option", optarg);
	}
	if (optind != argc)
		return pgha_usage_error("create", "\"%s\" is too much", argv[optind]);
	if (setup.node == NULL || setup.members[0] == '\0')
		return pgha_usage_error("create", "%s is missing", setup.node == NULL ? "--node" : "--members");
	if (setup.data != NULL && setup.debian != NULL)
		return pgha_usage_error("create", "-D and --cluster exclude each other");
	if (!pgha_setup_take_members(&setup))
		return pgha_usage_error("create", "%s", setup.error);
	if (!pgha_home_find(&setup.home, setup.data, setup.debian, true, setup.error, sizeof(setup.error), setup.hint, sizeof(setup.hint)))
		return pgha_setup_error(&setup);
	/* A file of the caller's, who may be root. */
	if (setup.pwfile != NULL && (code = pgha_password_take(setup.pwfile, false, setup.password, sizeof(setup.password))) != EXIT_OK)
		return code;
	code = pgha_home_run(&setup.home, work, &setup);
	explicit_bzero(setup.password, sizeof(setup.password));
	return code;
}
