/*
 * setup_node.h
 *		A node that is being set up: what is there, what is to be written, and how
 *		that is asked for, shown and checked.
 */
#ifndef PGHA_CLI_SETUP_NODE_H
#define PGHA_CLI_SETUP_NODE_H

#include "../common/members.h"
#include "setup_home.h"
#include "setup_password.h"
#include "setup_plan.h"
#include "setup_server.h"

#define PGHA_SETUP_MAX_SETTINGS	64
#define PGHA_SETUP_LIST_SIZE	8192
#define PGHA_SETUP_ERROR_SIZE	1536

/* What the files of a node say, and its data directory. */
typedef struct PghaSurvey
{
	int			port;
	char		listen[1024];
	char		sockets[1024];
	char		hba_file[PATH_MAX];
	char		wal_level[32];
	int			wal_senders;
	int			slots;
	char		hot_standby[8];
	char		preload[1024];
	char		node[PGHA_NAME_SIZE];	/* pgha.*: "" if there is none */
	char		members[PGHA_SETUP_LIST_SIZE];
	char		cluster[64];
	bool		hints;			/* checksums or wal_log_hints */
	bool		untouched;		/* the server is down, and nothing was ever made in it */
	bool		standby;
	bool		running;
} PghaSurvey;

typedef struct PghaSetup
{
	/* as asked for */
	const char *data;			/* -D */
	const char *debian;			/* --cluster */
	const char *node;
	char		members[PGHA_SETUP_LIST_SIZE];	/* pgha.members as it is to be */
	char		witnesses[PGHA_SETUP_LIST_SIZE];
	char		cluster[64];
	const char *allow;			/* others that may log in */
	const char *pwfile;
	const char *setting[PGHA_SETUP_MAX_SETTINGS];	/* NAME=VALUE */
	int			setting_count;
	bool		dry_run;
	bool		yes;

	/* as found */
	PghaHome	home;
	PghaMembers voters;
	const PghaAddress *own;		/* in voters */
	PghaSurvey	survey;
	PghaRecord	record;
	bool		recorded;
	char		password[PGHA_PASSWORD_SIZE];
	PghaPlan	plan;
	char		error[PGHA_SETUP_ERROR_SIZE];	/* "" if all is well */
	char		hint[PATH_MAX + 512];
} PghaSetup;

/* Says what is wrong, with what to do (may be NULL); always false. */
extern bool pgha_setup_refuse(PghaSetup *setup, const char *hint, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* Prints it; an exit code. */
extern int	pgha_setup_error(PghaSetup *setup);

/* A --set, kept as written; false if it is none, or there are too many. */
extern bool pgha_setup_add_setting(PghaSetup *setup, const char *setting);

/* Reads members and witnesses, and finds `node` among them. */
extern bool pgha_setup_take_members(PghaSetup *setup);

/* Reads what is there; of a data directory that is still to be made what it will be. */
extern bool pgha_setup_survey(PghaSetup *setup);

/* Where the settings of pgha go, and the password file. */
extern void pgha_setup_settings_path(const PghaSetup *setup, char *path);
extern void pgha_setup_passfile_path(const PghaSetup *setup, char *path);

/* What else is written than what is for pgha. */
typedef enum PghaForm
{
	PGHA_FORM_ADDED,			/* what the server needs is added to what is there */
	PGHA_FORM_WHOLE,			/* port and sockets, too: a server that we have made */
	PGHA_FORM_FIRST				/* that, but without pgha, and seen by nobody from outside */
} PghaForm;

/* Makes the plan anew. */
extern bool pgha_setup_plan(PghaSetup *setup, PghaForm form);

/* May the files be written?  False if one of them is somebody else's. */
extern bool pgha_setup_plan_is_ours(PghaSetup *setup);

/* Asks on the terminal whether to go on, unless --yes. */
extern bool pgha_setup_confirm(PghaSetup *setup);

/* A session with a node as the members' role; NULL with the reason in setup->error. */
extern PGconn *pgha_setup_login(PghaSetup *setup, const char *host, int port);

/* Waits until the server here is what is said (a state of pgha_status()), asked as another member would. */
extern bool pgha_setup_wait(PghaSetup *setup, const char *condition, const char *what);

/* Starts the agent where a unit is there for that, and says what is left to be typed. */
extern void pgha_setup_agent(PghaSetup *setup);

/* The options that `pgha create` and `pgha join` share, for getopt_long() with "D:n:s:". */
enum
{
	PGHA_SETUP_CLUSTER = 512, PGHA_SETUP_ALLOW, PGHA_SETUP_PWFILE, PGHA_SETUP_DRY_RUN, PGHA_SETUP_YES
};

#define PGHA_SETUP_LONG_OPTIONS \
		{"pgdata", required_argument, NULL, 'D'}, \
		{"cluster", required_argument, NULL, PGHA_SETUP_CLUSTER}, \
		{"node", required_argument, NULL, 'n'}, \
		{"allow", required_argument, NULL, PGHA_SETUP_ALLOW}, \
		{"pwfile", required_argument, NULL, PGHA_SETUP_PWFILE}, \
		{"set", required_argument, NULL, 's'}, \
		{"dry-run", no_argument, NULL, PGHA_SETUP_DRY_RUN}, \
		{"yes", no_argument, NULL, PGHA_SETUP_YES}

/* Takes what getopt_long() has just returned; false if its value is none, or it is no such option. */
extern bool pgha_setup_take_option(PghaSetup *setup, int letter);

/* Between two changes: false, with a message, if the user has called it off. */
extern bool pgha_setup_go_on(PghaSetup *setup);

/* Writes down how far it is; then the same. */
extern bool pgha_setup_write_record(PghaSetup *setup, const PghaPlan *plan);

#endif							/* PGHA_CLI_SETUP_NODE_H */
