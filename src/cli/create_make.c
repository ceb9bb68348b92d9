/*
 * create_make.c
 *		Makes a server the first node of a cluster, as create.c has planned it.
 *
 * For create.c, as the owner of the server.  Each step can be repeated: a call that
 * was killed leaves the record (setup_plan.h), by which the next one goes on.  One
 * that fails, or is interrupted, takes back what it has done.  What has data in it
 * that it did not make itself is never removed.
 */
#include "create_make.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/errors.h"
#include "../common/log.h"
#include "../host/durable.h"
#include "../host/server_ctl.h"

#define LEADS			"node = $1 AND role = 'primary'"
#define DOES_NOT_LEAD	"the server does not lead, asked at its address as the other members will"

/* What was done, so that it can be taken back. */
typedef struct Done
{
	bool		data;			/* the data directory was made */
	bool		directory;		/* the agent's directory was made */
	bool		was_running;
	bool		role;
	bool		extension;
	bool		filled;
	bool		at_work;		/* an earlier call has started it with pgha */
	bool		had_state;		/* pgha.state was there before */
} Done;

static bool
fail(PghaSetup *setup, const char *what)
{
	char		error[PGHA_SETUP_ERROR_SIZE];

	(void) snprintf(error, sizeof(error), "%s", setup->error);
	return pgha_setup_refuse(setup, NULL, "%s: %s", what, error);
}

/* Beside its place first: what is there is whole, or not there. */
static bool
make_data(PghaSetup *setup, Done *done)
{
	static const char *const more[] = {"--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", NULL};
	char		making[PATH_MAX + 32];
	bool		ours;

	(void) snprintf(making, sizeof(making), "%s.making", setup->home.conf.data);
	if (!pgha_remove_tree(making, true) && errno != ENOENT)
		return pgha_setup_refuse(setup, NULL, "could not remove \"%s\" of an earlier attempt: %s", making, strerror(errno));
	if (!pgha_setup_initdb(&setup->home.conf, making, more, &ours, setup->error, sizeof(setup->error)) || !pgha_setup_go_on(setup))
	{
		(void) pgha_remove_tree(making, true);
		return false;
	}
	if (rename(making, setup->home.conf.data) != 0 || !pgha_sync_parent(setup->home.conf.data))
	{
		(void) pgha_setup_refuse(setup, "It must be missing, or empty and no mount point.", "could not put the new data directory in the place of \"%s\": %s",
								 setup->home.conf.data, strerror(errno));
		(void) pgha_remove_tree(making, true);
		return false;
	}
	setup->home.made = done->data = true;
	return pgha_setup_go_on(setup);
}

/* A server that we have made is seen by nobody before it has a password. */
static bool
begin_new(PghaSetup *setup, Done *done)
{
	setup->record.made_data = true;
	if (!pgha_setup_write_record(setup, NULL))
		return false;
	if (!setup->home.made)
	{
		pgha_note("making the data directory");
		if (!make_data(setup, done))
			return false;
	}
	return pgha_setup_survey(setup) &&
		pgha_setup_plan(setup, PGHA_FORM_FIRST) &&
		pgha_setup_write_record(setup, &setup->plan) &&
		(setup->survey.running || pgha_plan_write(&setup->plan, setup->plan.count, setup->error, sizeof(setup->error)));
}

/* The role and the extension come before the settings: pgha would use a role that is not there yet. */
static bool
fill(PghaSetup *setup, Done *done)
{
	PghaFound	found;

	if (!pgha_setup_survey(setup))
		return false;
	if (!setup->survey.running && !pgha_home_start(&setup->home, setup->error, sizeof(setup->error)))
		return fail(setup, "the server could not be started as it is");
	if (!pgha_setup_go_on(setup) || !pgha_database_look(setup, &found))
		return false;
	done->at_work = found.at_work;
	/* An earlier call has come that far; it may take pgha.startup_grace until the node leads again. */
	if (found.at_work && (!pgha_setup_wait(setup, LEADS, DOES_NOT_LEAD) || !pgha_database_look(setup, &found)))
		return false;
	if (found.recovery)
		return pgha_setup_refuse(setup, NULL, "the server is a standby");
	if (found.role && !setup->record.made_role && setup->pwfile == NULL)
		return pgha_setup_refuse(setup, "Give the password that it has with --pwfile.", "there is a role \"pgha\" already, and its password is not known");
	done->role = !found.role;
	done->extension = !found.extension;
	setup->record.made_role |= done->role;
	setup->record.made_extension |= done->extension;
	if (!pgha_setup_plan(setup, setup->record.made_data ? PGHA_FORM_WHOLE : PGHA_FORM_ADDED) ||
		!pgha_setup_write_record(setup, &setup->plan) ||
		!pgha_plan_write(&setup->plan, 1, setup->error, sizeof(setup->error)))
		return false;
	pgha_note("making the role and the extension");
	done->filled = true;
	return pgha_database_fill(setup, &found) && pgha_setup_go_on(setup);
}

static bool
is_as_planned(const PghaSetup *setup, const Done *done)
{
	for (int i = 0; i < setup->plan.count; i++)
		if (pgha_plan_changes(&setup->plan.edit[i]))
			return false;
	return done->at_work;
}

static bool
restart(PghaSetup *setup, const Done *done)
{
	if (is_as_planned(setup, done))
	{
		setup->record.done = true;
		return pgha_setup_write_record(setup, &setup->plan);
	}
	if (!pgha_plan_write(&setup->plan, setup->plan.count, setup->error, sizeof(setup->error)) || !pgha_setup_go_on(setup))
		return false;
	if (pgha_home_needs_root(&setup->home))
	{
		printf("To finish it, as root:\n  systemctl restart postgresql@%.*s-%s\n\n",
			   (int) strcspn(setup->home.debian, "/"), setup->home.debian, strchr(setup->home.debian, '/') + 1);
		return true;
	}
	pgha_note("restarting the server");
	if (!pgha_home_stop(&setup->home, setup->error, sizeof(setup->error)) || !pgha_setup_go_on(setup))
		return false;
	if (!pgha_home_start(&setup->home, setup->error, sizeof(setup->error)))
		return fail(setup, "the server does not start with its new settings");
	if (!pgha_setup_go_on(setup) || !pgha_setup_wait(setup, LEADS, DOES_NOT_LEAD))
		return false;
	setup->record.done = true;
	return pgha_setup_write_record(setup, &setup->plan);
}

/* ---- back ---- */

static void
remove_from_data(const PghaSetup *setup, const char *name)
{
	char		path[PATH_MAX + 32];

	(void) snprintf(path, sizeof(path), "%s/%s", setup->home.conf.data, name);
	(void) unlink(path);
}

/* All of it is ours: nobody else has seen the server. */
static bool
take_back_new(PghaSetup *setup, const Done *done)
{
	char		error[256];

	return pgha_home_stop(&setup->home, error, sizeof(error)) &&
		pgha_server_proven_down(&setup->home.conf, error, sizeof(error)) &&
		pgha_remove_tree(setup->home.conf.data, true) &&
		(!done->directory || pgha_remove_tree(setup->home.conf.directory, true));
}

/* The server runs again as it did before. */
static bool
take_back_changes(PghaSetup *setup, const Done *done)
{
	PghaSetup	quiet = *setup;		/* the error that is told stays */
	bool		restarts = false;
	bool		back;

	for (int i = 1; i < setup->plan.count; i++)
		restarts |= setup->plan.edit[i].written;
	back = !restarts || pgha_home_stop(&quiet.home, quiet.error, sizeof(quiet.error));
	back = pgha_plan_revert(&setup->plan, quiet.error, sizeof(quiet.error)) && back;
	if (restarts && back && !done->had_state)
	{
		remove_from_data(setup, "pgha.state");
		remove_from_data(setup, "pgha.slots");
		remove_from_data(setup, "pgha.events");
		/* With pgha a server waits as a standby until it may lead again. */
		remove_from_data(setup, "standby.signal");
	}
	if (back && (done->filled || done->was_running))
	{
		back = pgha_setup_survey(&quiet) &&
			(quiet.survey.running || pgha_home_start(&quiet.home, quiet.error, sizeof(quiet.error)));
		back = back && (!done->filled || pgha_database_drop(&quiet, done->extension, done->role, restarts));
	}
	if (back && !done->was_running)
		back = pgha_home_stop(&quiet.home, quiet.error, sizeof(quiet.error));
	if (back)
		back = pgha_record_remove(setup->home.conf.directory, quiet.error, sizeof(quiet.error));
	if (back && done->directory)
		(void) pgha_remove_tree(setup->home.conf.directory, true);
	return back;
}

static void
take_back(PghaSetup *setup, const Done *done)
{
	bool		back;

	pgha_note("taking back what was done");
	if (done->data)
		back = take_back_new(setup, done);
	else if (setup->record.made_data)
		back = !setup->home.made && pgha_record_remove(setup->home.conf.directory, setup->hint, sizeof(setup->hint)) &&
			(!done->directory || pgha_remove_tree(setup->home.conf.directory, true));
	else
		back = take_back_changes(setup, done);
	if (!back)
		(void) snprintf(setup->hint, sizeof(setup->hint), "Not all of it could be taken back: \"%.*s/setup\" says what was made. The same command goes on; \"pgha leave\" takes it back.",
						PATH_MAX - 256, setup->home.conf.directory);
	else if (setup->hint[0] == '\0')
		(void) snprintf(setup->hint, sizeof(setup->hint), "All that was changed was taken back.");
}

bool
pgha_create_make(PghaSetup *setup)
{
	Done		done = {.was_running = setup->survey.running, .directory = !setup->recorded && access(setup->home.conf.directory, F_OK) != 0};
	bool		made;

	done.had_state = setup->home.made && !pgha_missing_in(setup->home.conf.data, "pgha.state");
	made = pgha_setup_write_record(setup, &setup->plan) &&
		((setup->home.made && !setup->record.made_data) || begin_new(setup, &done)) &&
		fill(setup, &done) &&
		restart(setup, &done);
	if (!made)
	{
		if (pgha_setup_interrupted(NULL))
			(void) pgha_setup_refuse(setup, NULL, "interrupted");
		take_back(setup, &done);
	}
	pgha_plan_free(&setup->plan);
	return made;
}
