/*
 * join_make.c
 *		Makes a new standby, as join.c has planned it.
 *
 * For join.c, as the owner of the server.  The copy is made beside its place and gets
 * there as a whole, with its own settings in it; data that were there are moved aside,
 * and never removed.  The record says how far an earlier call has come.
 */
#include "join_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/conninfo.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "../host/conf_syntax.h"
#include "../host/durable.h"
#include "../host/process.h"
#include "../host/server_ctl.h"
#include "join_add.h"

/* Set on the primary by ALTER SYSTEM, they are true of that node only. */
static const char *const own_settings[] = {
	"port", "listen_addresses", "unix_socket_directories", "data_directory", "hba_file", "ident_file", "external_pid_file",
	"cluster_name", "primary_conninfo", "primary_slot_name", "restore_command", "recovery_target_timeline", NULL
};

/* What was written of the plan, and can be taken back. */
typedef struct Done
{
	bool		stopped;		/* a server that ran on the former data */
	bool		placed;			/* the copy is in its place */
} Done;

/* ---- the copy ---- */

static void
making_path(const PghaSetup *setup, char *path, size_t size)
{
	(void) snprintf(path, size, "%.*s.making", PATH_MAX - 64, setup->home.conf.data);
}

/* Of a cluster of Debian's, say, there is none in the data directory. */
static bool
make_if_missing(PghaSetup *setup, const char *path, const char *text)
{
	return access(path, F_OK) == 0 || pgha_write_file(path, text, strlen(text), 0600, true) ||
		pgha_setup_refuse(setup, NULL, "could not write file \"%s\": %s", path, strerror(errno));
}

static bool
is_own(const char *name)
{
	for (int i = 0; own_settings[i] != NULL; i++)
		if (strcasecmp(name, own_settings[i]) == 0)
			return true;
	return strcasecmp(name, "pgha.node") == 0;
}

static bool
filter_auto_conf(PghaSetup *setup, const char *making)
{
	static PghaText text;
	char		path[PATH_MAX + 32];
	char	   *written;
	char	   *rest;

	(void) snprintf(path, sizeof(path), "%s/postgresql.auto.conf", making);
	rest = written = pgha_read_file(path, NULL);
	text.length = 0;
	text.text[0] = '\0';
	for (char *line; written != NULL && (line = strsep(&rest, "\n")) != NULL;)
	{
		char		name[8192];
		char		value[8192];

		if (line[0] != '\0' && (strlen(line) >= sizeof(name) || !pgha_conf_split_line(line, name, value) || !is_own(name)))
			pgha_text_put(&text, "%s\n", line);
	}
	free(written);
	return pgha_text_write(&text, path, 0600, setup->error, sizeof(setup->error));
}

/* Makes this node's of the copy, while it is not in its place yet. */
static bool
settle_copy(PghaJoin *join, const char *making)
{
	PghaSetup  *setup = &join->setup;
	PghaHome   *home = &setup->home;
	char		path[PATH_MAX + 32];
	size_t		length = strlen(making);

	(void) snprintf(path, sizeof(path), "%s/standby.signal", making);
	if (!filter_auto_conf(setup, making) || !make_if_missing(setup, path, ""))
		return false;
	if (!home->conf.config_outside)
	{
		(void) snprintf(home->conf.config_file, sizeof(home->conf.config_file), "%.*s/postgresql.conf", PATH_MAX - 32, making);
		(void) snprintf(setup->survey.hba_file, sizeof(setup->survey.hba_file), "%.*s/pg_hba.conf", PATH_MAX - 32, making);
		(void) snprintf(path, sizeof(path), "%s/pg_ident.conf", making);
		if (!make_if_missing(setup, home->conf.config_file, "") || !make_if_missing(setup, path, "") ||
			!make_if_missing(setup, setup->survey.hba_file, "local all all peer\n"))
			return false;
	}
	if (!pgha_setup_plan(setup, PGHA_FORM_WHOLE) ||
		!pgha_plan_write(&setup->plan, setup->plan.count, setup->error, sizeof(setup->error)))
		return false;
	/* From now on they are where the copy will be. */
	for (int i = 0; i < setup->plan.count; i++)
	{
		char	   *named = setup->plan.edit[i].path;

		if (strncmp(named, making, length) == 0 && named[length] == '/')
		{
			(void) snprintf(path, sizeof(path), "%s%s", home->conf.data, named + length);
			(void) snprintf(named, PATH_MAX, "%.*s", PATH_MAX - 1, path);
		}
	}
	if (!home->conf.config_outside)
	{
		(void) snprintf(home->conf.config_file, sizeof(home->conf.config_file), "%.*s/postgresql.conf", PATH_MAX - 32, home->conf.data);
		(void) snprintf(setup->survey.hba_file, sizeof(setup->survey.hba_file), "%.*s/pg_hba.conf", PATH_MAX - 32, home->conf.data);
	}
	return pgha_setup_go_on(setup);
}

static bool
copy_data(PghaJoin *join, const char *making)
{
	PghaSetup  *setup = &join->setup;
	char		program[PATH_MAX + 32];
	char		passfile[PATH_MAX];
	char		conninfo[PGHA_CONNINFO_SIZE] = "user=pgha connect_timeout=10";
	char		port[16];
	char	   *argv[] = {program, "-D", (char *) making, "-d", conninfo, "-c", "fast", "-X", "stream", "--no-password", NULL};
	PghaRun		run = {.argv = argv, .cancelled = pgha_setup_interrupted};
	int			status;

	pgha_setup_passfile_path(setup, passfile);
	(void) snprintf(port, sizeof(port), "%d", join->primary.port);
	if (!pgha_conninfo_add(conninfo, sizeof(conninfo), "host", join->primary.host) ||
		!pgha_conninfo_add(conninfo, sizeof(conninfo), "port", port) ||
		!pgha_conninfo_add(conninfo, sizeof(conninfo), "passfile", passfile))
		return pgha_setup_refuse(setup, NULL, "the path of the data directory is too long");
	if (!pgha_remove_tree(making, true) && errno != ENOENT)
		return pgha_setup_refuse(setup, NULL, "could not remove \"%s\" of an earlier attempt: %s", making, strerror(errno));
	(void) snprintf(program, sizeof(program), "%s/pg_basebackup", setup->home.conf.bin);
	pgha_note("copying the data from %s:%d", join->primary.host, join->primary.port);
	status = pgha_run(&run);
	if (run.was_cancelled)
		return pgha_setup_refuse(setup, NULL, "interrupted");
	return status == 0 ? pgha_setup_go_on(setup) :
		pgha_setup_refuse(setup, NULL, "pg_basebackup ended with status %d: %s", status, run.last);
}

/* ---- its place ---- */

static bool
make_room(PghaJoin *join, Done *done)
{
	PghaSetup  *setup = &join->setup;

	if (!setup->home.made)
		return true;
	(void) snprintf(setup->record.kept, sizeof(setup->record.kept), "%.*s.old-%s", PATH_MAX - 64, setup->home.conf.data, join->time);
	if (!pgha_setup_write_record(setup, &setup->plan))
		return false;
	done->stopped = setup->survey.running;
	if (!pgha_home_stop(&setup->home, setup->error, sizeof(setup->error)) ||
		!pgha_server_proven_down(&setup->home.conf, setup->error, sizeof(setup->error)))
		return false;
	if (rename(setup->home.conf.data, setup->record.kept) != 0 || !pgha_sync_parent(setup->home.conf.data))
		return pgha_setup_refuse(setup, NULL, "could not rename \"%s\" to \"%s\": %s", setup->home.conf.data, setup->record.kept, strerror(errno));
	setup->home.made = false;
	return pgha_setup_go_on(setup);
}

static bool
make_data(PghaJoin *join, Done *done)
{
	PghaSetup  *setup = &join->setup;
	char		making[PATH_MAX];

	making_path(setup, making, sizeof(making));
	/* The settings are written with the copy; here it is the password file that matters. */
	if (!pgha_plan_write(&setup->plan, 1, setup->error, sizeof(setup->error)) ||
		!copy_data(join, making) || !settle_copy(join, making) || !make_room(join, done))
		return false;
	setup->record.made_data = true;
	if (!pgha_setup_write_record(setup, &setup->plan))
		return false;
	if (rename(making, setup->home.conf.data) != 0 || !pgha_sync_parent(setup->home.conf.data))
		return pgha_setup_refuse(setup, "It must be missing, or empty and no mount point.", "could not put the copy in the place of \"%s\": %s", setup->home.conf.data, strerror(errno));
	setup->home.made = done->placed = true;
	return pgha_setup_go_on(setup);
}

/* What has not begun to be a member leaves nothing; data that were there are there again. */
static void
take_back(PghaJoin *join, const Done *done)
{
	PghaSetup  *setup = &join->setup;
	char		making[PATH_MAX];
	char		ignored[512];
	bool		back;

	if (done->placed || (setup->record.made_data && setup->home.made))
	{
		(void) snprintf(setup->hint, sizeof(setup->hint), "The same command goes on from here; \"pgha leave\" takes it back.");
		return;
	}
	making_path(setup, making, sizeof(making));
	back = pgha_remove_tree(making, true) || errno == ENOENT;
	if (setup->record.kept[0] != '\0' && !setup->home.made)
		back &= rename(setup->record.kept, setup->home.conf.data) == 0 && pgha_sync_parent(setup->home.conf.data);
	for (int i = 0; i < setup->plan.count; i++)
	{
		/* Those in the copy have gone with it. */
		if (strncmp(setup->plan.edit[i].path, setup->home.conf.data, strlen(setup->home.conf.data)) == 0 &&
			setup->plan.edit[i].path[strlen(setup->home.conf.data)] == '/')
			setup->plan.edit[i].written = false;
	}
	back &= pgha_plan_revert(&setup->plan, ignored, sizeof(ignored));
	if (!setup->recorded)
	{
		/* Nothing of that name was there, or the plan would have been refused. */
		pgha_setup_passfile_path(setup, making);
		(void) unlink(making);
		pgha_setup_settings_path(setup, making);
		(void) unlink(making);
	}
	back = back && pgha_record_remove(setup->home.conf.directory, ignored, sizeof(ignored));
	(void) rmdir(setup->home.conf.directory);
	if (done->stopped)
		back = pgha_home_start(&setup->home, ignored, sizeof(ignored)) && back;
	if (setup->hint[0] == '\0')
		(void) snprintf(setup->hint, sizeof(setup->hint), back ? "All that was changed here was taken back.%s" :
						"Not all of it could be taken back; the same command goes on from here.%s",
						join->added ? "  The members know it now; the same command goes on, or pgha_remove_member() on the primary." : "");
}

static bool
add_member(PghaJoin *join)
{
	return !join->adds || (pgha_join_add(join) && pgha_setup_go_on(&join->setup));
}

bool
pgha_join_make(PghaJoin *join)
{
	PghaSetup  *setup = &join->setup;
	Done		done = {0};
	bool		made = add_member(join) && pgha_setup_write_record(setup, &setup->plan) &&
		((setup->home.made && setup->record.made_data) || make_data(join, &done));

	if (made && (done.placed || !setup->survey.running))
	{
		pgha_note("starting the server");
		made = pgha_home_start(&setup->home, setup->error, sizeof(setup->error)) && pgha_setup_go_on(setup);
	}
	if (made)
	{
		pgha_note("waiting until it streams");
		made = pgha_setup_wait(setup, "node = $1 AND state = 'standby' AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming')",
							   "the server runs, but does not stream yet");
	}
	setup->record.done = made;
	if (made)
		made = pgha_setup_write_record(setup, NULL);
	else
		take_back(join, &done);
	pgha_plan_free(&setup->plan);
	return made;
}
