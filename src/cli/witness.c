/*
 * witness.c
 *		`pgha witness init`: makes a witness by one command.
 *
 * Here is what its options say, the password, and what is told; witness_make.c
 * makes it, and changes nothing outside of the directory.  Without --from no member
 * is asked; with it witness_from.c asks one, and has the members told.
 */
#include "witness_make.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/fields.h"
#include "../common/log.h"
#include "setup_password.h"
#include "setup_server.h"
#include "setup_text.h"
#include "subcommands.h"
#include "witness_from.h"

static int
take_password(PghaWitness *witness, const char *pwfile, bool twice)
{
	if (pwfile == NULL && witness->conninfo != NULL)
		return EXIT_OK;
	return pgha_password_take(pwfile, twice, witness->password, sizeof(witness->password));
}

/* ---- options ---- */

enum
{
	OPTION_HOST = 256, OPTION_PWFILE, OPTION_CONNINFO, OPTION_CLUSTER, OPTION_LISTEN, OPTION_ALLOW, OPTION_START, OPTION_FROM
};

typedef struct Wishes
{
	const char *data;
	const char *witnesses;
	const char *host;
	const char *port;
	const char *pwfile;
	const char *from;
	const char *cluster;
	bool		start;
} Wishes;

static bool
take_setting(PghaWitness *witness, const char *setting)
{
	if (!pgha_option_valid(setting) || witness->setting_count == PGHA_WITNESS_MAX_SETTINGS)
		return false;
	witness->setting[witness->setting_count++] = setting;
	return true;
}

static bool
take_option(PghaWitness *witness, Wishes *wishes, int letter)
{
	switch (letter)
	{
		case 'D':
			wishes->data = optarg;
			break;
		case 'n':
			witness->node = optarg;
			break;
		case 'm':
			witness->members = optarg;
			break;
		case 'w':
			wishes->witnesses = optarg;
			break;
		case 'p':
			wishes->port = optarg;
			break;
		case 's':
			return take_setting(witness, optarg);
		case OPTION_HOST:
			wishes->host = optarg;
			break;
		case OPTION_PWFILE:
			wishes->pwfile = optarg;
			break;
		case OPTION_CONNINFO:
			witness->conninfo = optarg;
			break;
		case OPTION_CLUSTER:
			witness->cluster = wishes->cluster = optarg;
			break;
		case OPTION_LISTEN:
			witness->listen = optarg;
			break;
		case OPTION_ALLOW:
			witness->allow = optarg;
			return pgha_login_list_valid(optarg);
		case OPTION_START:
			wishes->start = true;
			break;
		case OPTION_FROM:
			wishes->from = optarg;
			return pgha_fits_a_line(optarg);
		default:
			return false;
	}
	return true;
}

/* The list that all members get: as given, or this one alone. */
static bool
name_witnesses(PghaWitness *witness, const Wishes *wishes, char *error, size_t error_size)
{
	int			length;
	int			self;

	if (wishes->witnesses != NULL)
		length = snprintf(witness->witnesses, sizeof(witness->witnesses), "%s", wishes->witnesses);
	else if (wishes->host == NULL)
	{
		(void) snprintf(error, error_size, "--witnesses is missing, or --host with the address of this one");
		return false;
	}
	else
		length = snprintf(witness->witnesses, sizeof(witness->witnesses),
						  strchr(wishes->host, ':') != NULL ? "%s=[%s]:%s" : "%s=%s:%s", witness->node, wishes->host,
						  wishes->port != NULL ? wishes->port : "5432");
	if (length >= (int) sizeof(witness->witnesses))
	{
		(void) snprintf(error, error_size, "--witnesses is too long");
		return false;
	}
	if (!pgha_members_parse(witness->members, &witness->voters, error, error_size) ||
		!pgha_witnesses_parse(witness->witnesses, &witness->voters, error, error_size))
		return false;
	self = pgha_voters_find(&witness->voters, witness->node);
	if (self < witness->voters.count)
	{
		(void) snprintf(error, error_size, "\"%s\" is not one of --witnesses", witness->node);
		return false;
	}
	witness->port = witness->voters.member[self].port;
	return true;
}

/* With --from what must be the same is what the members have. */
static int
check_from(const PghaWitness *witness, const Wishes *wishes)
{
	const char *given = witness->members != NULL ? "--members" : wishes->witnesses != NULL ? "--witnesses" :
		wishes->cluster != NULL ? "--cluster" : witness->conninfo != NULL ? "--conninfo" : NULL;
	uint64_t	port;

	if (given != NULL)
		return pgha_usage_error("witness", "--from and %s exclude each other", given);
	if (wishes->data == NULL || witness->node == NULL)
		return pgha_usage_error("witness", "%s is missing", wishes->data == NULL ? "-D" : "--node");
	if (!pgha_name_valid(witness->node))
		return pgha_usage_error("witness", "the name of the node is not valid: letters, digits, \"-\", \"_\" and \".\"");
	if (wishes->host != NULL && (!pgha_login_list_valid(wishes->host) || strpbrk(wishes->host, ",/ ") != NULL || strlen(wishes->host) >= PGHA_HOST_SIZE))
		return pgha_usage_error("witness", "\"%s\" is not a host", wishes->host);
	if (wishes->port != NULL && (!pgha_parse_uint64(wishes->port, &port) || port < 1 || port > 65535))
		return pgha_usage_error("witness", "\"%s\" is not a port", wishes->port);
	return EXIT_OK;
}

/* Completes and checks what the options say. */
static int
settle(PghaWitness *witness, const Wishes *wishes)
{
	uint64_t	port;
	char		error[512];

	if (wishes->data == NULL || witness->node == NULL || witness->members == NULL || witness->members[0] == '\0')
		return pgha_usage_error("witness", "%s is missing", wishes->data == NULL ? "-D" : witness->node == NULL ? "--node" : "--members");
	if (!pgha_name_valid(witness->node) || !pgha_name_valid(witness->cluster))
		return pgha_usage_error("witness", "the name of node or cluster is not valid: letters, digits, \"-\", \"_\" and \".\"");
	if (!pgha_fits_a_line(witness->members) || !pgha_fits_a_line(witness->listen) ||
		(witness->conninfo != NULL && !pgha_fits_a_line(witness->conninfo)))
		return pgha_usage_error("witness", "a value is too long, or has control characters");
	for (int i = 0; i < witness->setting_count; i++)
		if (!pgha_fits_a_line(witness->setting[i]))
			return pgha_usage_error("witness", "a value of --set is too long, or has control characters");
	if (wishes->port != NULL && (!pgha_parse_uint64(wishes->port, &port) || port < 1 || port > 65535))
		return pgha_usage_error("witness", "\"%s\" is not a port", wishes->port);
	if (!name_witnesses(witness, wishes, error, sizeof(error)))
		return pgha_usage_error("witness", "%s", error);
	if (wishes->port != NULL && wishes->witnesses != NULL)
		witness->port = (int) port;

	(void) snprintf(witness->user, sizeof(witness->user), "pgha");
	if (witness->conninfo != NULL &&
		(!pgha_conninfo_check(witness->conninfo, error, sizeof(error)) ||
		 (pgha_conninfo_get(witness->conninfo, "user", witness->user, sizeof(witness->user)) &&
		  strspn(witness->user, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != strlen(witness->user))))
		return pgha_usage_error("witness", "--conninfo cannot be used; write it like pgha.conninfo on the members");
	return EXIT_OK;
}

/* Where it is to be, as an absolute path without a slash at its end; where a link leads, if it is one. */
static int
place(PghaWitness *witness, const char *data)
{
	char		here[PATH_MAX];
	char		real[PATH_MAX];
	size_t		length;

	if (data[0] != '/' && getcwd(here, sizeof(here)) == NULL)
	{
		pgha_error(stderr, NULL, "could not get the current directory: %s", strerror(errno));
		return EXIT_ERROR;
	}
	length = (size_t) snprintf(witness->data, sizeof(witness->data), "%s%s%s", data[0] == '/' ? "" : here,
							   data[0] == '/' ? "" : "/", data);
	if (length >= sizeof(witness->data) || !pgha_fits_a_line(witness->data))
		return pgha_usage_error("witness", "the path of the data directory is too long, or has control characters");
	while (length > 1 && witness->data[length - 1] == '/')
		witness->data[--length] = '\0';
	if (realpath(witness->data, real) != NULL)
		(void) snprintf(witness->data, sizeof(witness->data), "%s", real);
	return pgha_fits_a_line(witness->data) ? EXIT_OK : pgha_usage_error("witness", "the path of the data directory has control characters");
}

/* ---- what is told ---- */

static void
tell(const PghaWitness *witness, bool started)
{
	char		program[PATH_MAX];
	ssize_t		length = readlink("/proc/self/exe", program, sizeof(program) - 1);

	program[length > 0 ? length : 0] = '\0';
	if (strrchr(program, '/') != NULL)
		*strrchr(program, '/') = '\0';
	printf("Witness %s is made in %s%s.\n\n"
		   "On all members, in postgresql.conf, then reload:\n"
		   "  pgha.witnesses = '%s'\n"
		   "In their pg_hba.conf it must be let in like a member:\n"
		   "  host  replication  %s  ADDRESS-OF-THIS-HOST  scram-sha-256\n",
		   witness->node, witness->data, started ? ", and runs" : "", witness->witnesses, witness->user);
	if (!started)
		printf("\nIt does not run yet.  As a service: examples/pgha-witness.service.  By hand:\n"
			   "  %s/pg_ctl -D %s -l %s/witness.log start\n", program, witness->data, witness->data);
}

/* ---- what is done ---- */

static int
make(const PghaWitness *witness, const Wishes *wishes)
{
	char		error[1536];
	char		hint[PATH_MAX + 256];
	bool		left;

	if (pgha_witness_make(witness, wishes->start, &left, error, sizeof(error)))
		return EXIT_OK;
	(void) snprintf(hint, sizeof(hint), left ? "What was made could not be taken back: see that no server runs on \"%s\", and remove it." :
					"Nothing was changed, or all of it was taken back.", witness->data);
	pgha_error(stderr, hint, "%s", error);
	return EXIT_ERROR;
}

/* One that an earlier call has made is started, and goes on from there. */
static int
join_cluster(PghaWitness *witness, Wishes *wishes)
{
	static char witnesses[sizeof(witness->witnesses)];
	char		error[1536];
	bool		made = pgha_witness_is_made(witness);
	int			code;

	pgha_setup_forget_environment();
	if ((code = pgha_witness_fetch(witness, wishes->from, wishes->host, wishes->port)) != EXIT_OK)
		return code;
	(void) snprintf(witnesses, sizeof(witnesses), "%s", witness->witnesses);
	wishes->witnesses = witnesses;
	wishes->port = NULL;
	wishes->start = true;
	if (!made && ((code = settle(witness, wishes)) != EXIT_OK || (code = make(witness, wishes)) != EXIT_OK))
		return code;
	if (made && !pgha_witness_start(witness, error, sizeof(error)))
	{
		pgha_error(stderr, "Its log is witness.log in its directory.", "%s", error);
		return EXIT_ERROR;
	}
	if (made)
		printf("Witness %s is in %s already, and runs.\n", witness->node, witness->data);
	else
		printf("Witness %s is made in %s, and runs.\n", witness->node, witness->data);
	(void) fflush(stdout);
	if ((code = pgha_witness_add(witness)) == EXIT_OK)
		printf("All members have it in pgha.witnesses; \"pgha status\" shows it, and whether quorum is in force.\n");
	return code;
}

int
pgha_witness_main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"pgdata", required_argument, NULL, 'D'},
		{"node", required_argument, NULL, 'n'},
		{"members", required_argument, NULL, 'm'},
		{"witnesses", required_argument, NULL, 'w'},
		{"port", required_argument, NULL, 'p'},
		{"set", required_argument, NULL, 's'},
		{"host", required_argument, NULL, OPTION_HOST},
		{"pwfile", required_argument, NULL, OPTION_PWFILE},
		{"conninfo", required_argument, NULL, OPTION_CONNINFO},
		{"cluster", required_argument, NULL, OPTION_CLUSTER},
		{"listen", required_argument, NULL, OPTION_LISTEN},
		{"allow", required_argument, NULL, OPTION_ALLOW},
		{"start", no_argument, NULL, OPTION_START},
		{"from", required_argument, NULL, OPTION_FROM},
		{NULL, 0, NULL, 0}
	};
	static PghaWitness witness = {.cluster = "main", .listen = "*"};
	Wishes		wishes = {0};
	int			letter;
	int			code;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "D:n:m:w:p:s:", long_options, NULL)) != -1)
	{
		if (letter == '?' || letter == ':')
			return pgha_usage_error("witness", "\"%s\" is not an option, or its value is missing", argv[optind - 1]);
		if (!take_option(&witness, &wishes, letter))
			return pgha_usage_error("witness", "\"%s\" is not a value of that option", optarg);
	}
	if (optind != argc - 1 || strcmp(argv[optind], "init") != 0)
		return pgha_usage_error("witness", "what is to be done is missing: init");
	if ((code = wishes.from != NULL ? check_from(&witness, &wishes) : settle(&witness, &wishes)) != EXIT_OK ||
		(code = place(&witness, wishes.data)) != EXIT_OK)
		return code;
	if (geteuid() == 0)
	{
		pgha_error(stderr, "Run it as the user that is to run the witness, such as postgres.", "a witness cannot be made by root");
		return EXIT_ERROR;
	}
	if ((code = take_password(&witness, wishes.pwfile, wishes.from == NULL)) != EXIT_OK)
		return code;
	code = wishes.from != NULL ? join_cluster(&witness, &wishes) : make(&witness, &wishes);
	explicit_bzero(witness.password, sizeof(witness.password));
	if (code == EXIT_OK && wishes.from == NULL)
		tell(&witness, wishes.start);
	return code;
}
