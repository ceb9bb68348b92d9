/*
 * vip.c
 *		`pgha vip`: takes, gives up and shows an address that moves between hosts,
 *		without a server.
 *
 * For pgpool's watchdog (if_up_cmd, if_down_cmd, arping_cmd), for keepalived's
 * notify, and for people.  The callers run it without a shell, as an ordinary
 * user with two capabilities, and look at nothing but the exit code; so it says
 * what it did on stderr, which is their log, and does not care whether anybody
 * reads that.
 *
 * up and down of one address by one user at once come one after the other: see
 * vip_lock.c.  There is no state: what a killed command left half done, the next
 * one finds.
 */
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/fields.h"
#include "../common/log.h"
#include "../net/address.h"
#include "../net/address_local.h"
#include "subcommands.h"
#include "vip_conf.h"
#include "vip_lock.h"

#define DEFAULT_TIMEOUT_S	10
#define MAX_TIMEOUT_S		600

/* Longer than an announcement takes. */
#define ANNOUNCE_LIMIT_S	10

typedef struct Vip
{
	PghaVipConf conf;
	PghaAddressSpec spec;
	char		text[PGHA_ADDRESS_TEXT_SIZE];	/* of spec */
	PghaVip    *address;
	bool		dry_run;
	bool		only_if_free;
	long long	end_ms;			/* when --timeout is over */
} Vip;

static int	fail(const char *format,...) __attribute__((format(printf, 1, 2)));
static void say(const char *format,...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format,...) __attribute__((format(printf, 1, 2)));

/* Says what went wrong; returns EXIT_ERROR. */
static int
fail(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	pgha_put_line(stderr, "pgha: error: ", format, args);
	va_end(args);
	return EXIT_ERROR;
}

static void
say(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	pgha_put_line(stderr, "pgha: ", format, args);
	va_end(args);
}

/* The answer: on stdout. */
static void
tell(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	pgha_put_line(stdout, "", format, args);
	va_end(args);
}

/* ---- the limit ---- */

static void
out_of_time(int signal_number)
{
	static const char text[] = "pgha: error: not done within --timeout\n";

	(void) signal_number;
	(void) !write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EXIT_ERROR);
}

/* Parts have limits of their own; this is for what hangs all the same. */
static bool
start_clock(Vip *vip)
{
	const char *text = vip->conf.value[VIP_TIMEOUT];
	uint64_t	seconds = DEFAULT_TIMEOUT_S;

	if (text[0] != '\0' && (!pgha_parse_uint64(text, &seconds) || seconds < 1 || seconds > MAX_TIMEOUT_S))
		return false;
	vip->end_ms = pgha_awake_ms() + (long long) seconds * 1000;
	(void) signal(SIGALRM, out_of_time);
	(void) alarm((unsigned int) seconds + 1);
	return true;
}

/* ---- one at a time ---- */

static bool
lock(const Vip *vip)
{
	const char *name = vip->spec.ip[0] != '\0' ? vip->spec.ip : vip->spec.allocation;
	char		cause[512];

	switch (pgha_vip_lock(name, vip->end_ms, cause, sizeof(cause)))
	{
		case PGHA_VIP_LOCKED:
			break;
		case PGHA_VIP_BUSY:
			(void) fail("%s is still busy with %s", cause, vip->text);
			return false;
		case PGHA_VIP_NO_PLACE:
			say("%s: not locked against another \"pgha vip\" of this user: %s", vip->text, cause);
			break;
	}
	return true;
}

/* ---- announcing ---- */

/*
 * Goes on announcing in a process of its own, so that the caller (pgpool's
 * watchdog waits for us) can go on, too.  The address works already.
 */
static void
announce_behind(const Vip *vip)
{
	char		error[512];

	if (vip->spec.kind != PGHA_ADDRESS_LOCAL || fork() != 0)
		return;
	(void) setsid();
	closefrom(0);
	(void) signal(SIGALRM, SIG_DFL);
	(void) alarm(ANNOUNCE_LIMIT_S);
	(void) pgha_local_announce(&vip->spec, NULL, NULL, error, sizeof(error));
	_exit(0);
}

/* ---- the commands ---- */

static int
dry_run(const Vip *vip)
{
	char		finding[1024];

	if (!pgha_address_may(vip->address, finding, sizeof(finding)))
		return fail("%s", finding);
	tell("%s: %s; nothing was changed", vip->text, finding);
	return EXIT_OK;
}

static int
up(Vip *vip)
{
	PghaTake	how = {.only_if_free = vip->only_if_free};
	char		error[1024];

	if (vip->dry_run)
		return dry_run(vip);
	if (!lock(vip))
		return EXIT_ERROR;
	how.limit_ms = vip->end_ms > pgha_awake_ms() ? (int) (vip->end_ms - pgha_awake_ms()) : 0;
	if (!pgha_address_take(vip->address, &how, error, sizeof(error)))
		return fail("could not take %s: %s", vip->text, error);
	say("%s is here", vip->text);
	announce_behind(vip);
	return EXIT_OK;
}

static int
down(Vip *vip)
{
	char		error[1024];

	if (vip->dry_run)
		return dry_run(vip);
	if (!lock(vip))
		return EXIT_ERROR;
	if (!pgha_address_release(vip->address, error, sizeof(error)))
		return fail("could not give up %s: %s", vip->text, error);
	say("%s is not here", vip->text);
	return EXIT_OK;
}

static int
announce(Vip *vip)
{
	PghaTake	how = {0};
	char		interface[16];
	char		error[1024];

	if (vip->spec.kind != PGHA_ADDRESS_LOCAL)
	{
		say("%s: nothing to announce, EC2 knows where it is", vip->text);
		return EXIT_OK;
	}
	if (!pgha_local_here(&vip->spec, interface, error, sizeof(error)))
		return fail("could not announce %s: %s", vip->text, error);
	if (vip->dry_run)
		return dry_run(vip);
	/* What is here is left as it is, and announced. */
	if (!pgha_address_take(vip->address, &how, error, sizeof(error)))
		return fail("could not announce %s: %s", vip->text, error);
	announce_behind(vip);
	return EXIT_OK;
}

static int
show(Vip *vip)
{
	char		error[1024] = "";
	char		cause[512] = "";
	char		mac[18];
	PghaHolder	holder = pgha_address_check(vip->address, error, sizeof(error));
	bool		other = vip->spec.kind == PGHA_ADDRESS_LOCAL &&
		pgha_local_elsewhere(&vip->spec, mac, cause, sizeof(cause));

	if (holder == PGHA_HOLDER_UNKNOWN)
		return fail("could not find out who has %s: %s", vip->text, error);
	if (holder == PGHA_HELD)
		tell("here: %s", vip->text);
	else if (other)
		tell("elsewhere: %s, the host with the hardware address %s answers for it", vip->text, mac);
	else
		tell("not here: %s, %s", vip->text, error);
	if (holder == PGHA_HELD && other)
		tell("WARNING: the host with the hardware address %s answers for it, too", mac);
	if (holder == PGHA_HELD && vip->spec.kind == PGHA_ADDRESS_LOCAL && pgha_local_foreign(&vip->spec))
		tell("WARNING: pgha has not put it there, and \"down\" leaves it");
	if (cause[0] != '\0')
		say("%s", cause);
	return holder == PGHA_HELD ? EXIT_OK : EXIT_NOT_HERE;
}

static const struct
{
	const char *name;
	int			(*run) (Vip *vip);
}			commands[] = {
	{"up", up},
	{"down", down},
	{"show", show},
	{"announce", announce},
};

/* ---- options ---- */

/* Values from here on are settings. */
#define OPTION_SETTING	256

static int
take_options(int argc, char **argv, Vip *vip, const char **config)
{
	static struct option known[] = {
		{"config", required_argument, NULL, 'c'},
		{"dry-run", no_argument, NULL, 'n'},
		{"if-free", no_argument, NULL, 'f'},
		{"kind", required_argument, NULL, OPTION_SETTING + VIP_KIND},
		{"interface", required_argument, NULL, OPTION_SETTING + VIP_INTERFACE},
		{"prefix", required_argument, NULL, OPTION_SETTING + VIP_PREFIX},
		{"allocation", required_argument, NULL, OPTION_SETTING + VIP_ALLOCATION},
		{"tables", required_argument, NULL, OPTION_SETTING + VIP_TABLES},
		{"region", required_argument, NULL, OPTION_SETTING + VIP_REGION},
		{"profile", required_argument, NULL, OPTION_SETTING + VIP_PROFILE},
		{"ec2-endpoint", required_argument, NULL, OPTION_SETTING + VIP_EC2_ENDPOINT},
		{"imds-endpoint", required_argument, NULL, OPTION_SETTING + VIP_IMDS_ENDPOINT},
		{"insecure", no_argument, NULL, OPTION_SETTING + VIP_INSECURE},
		{"timeout", required_argument, NULL, OPTION_SETTING + VIP_TIMEOUT},
		{NULL, 0, NULL, 0}
	};
	char		error[512];
	int			c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:nfi:", known, NULL)) != -1)
	{
		if (c == 'i')
			c = OPTION_SETTING + VIP_INTERFACE;
		if (c == 'c')
			*config = optarg;
		else if (c == 'n')
			vip->dry_run = true;
		else if (c == 'f')
			vip->only_if_free = true;
		else if (c == ':')
			return pgha_usage_error("vip", "option \"%s\" needs a value", argv[optind - 1]);
		else if (c < OPTION_SETTING)
			return pgha_usage_error("vip", "\"%s\" is not an option of \"pgha vip\"", argv[optind - 1]);
		else if (!pgha_vip_conf_set(&vip->conf, (PghaVipSetting) (c - OPTION_SETTING),
									c == OPTION_SETTING + VIP_INSECURE ? "on" : optarg, error, sizeof(error)))
			return pgha_usage_error("vip", "%s", error);
	}
	return EXIT_OK;
}

/* Everything that is said before anything is done. */
static int
set_up(int argc, char **argv, Vip *vip)
{
	const char *config = NULL;
	char		error[1024];
	int			code = take_options(argc, argv, vip, &config);

	if (code != EXIT_OK)
		return code;
	if (argc - optind > 1)
		return pgha_usage_error("vip", "too many arguments, the first of them \"%s\"", argv[optind + 1]);
	if (!pgha_vip_conf_complete(&vip->conf, config, error, sizeof(error)))
		return fail("%s", error);
	if (!pgha_vip_conf_address(&vip->conf, argv[optind], &vip->spec, error, sizeof(error)) ||
		!pgha_address_spec_format(&vip->spec, vip->text, sizeof(vip->text)))
		return pgha_usage_error("vip", "%s", error);
	if (!start_clock(vip))
		return pgha_usage_error("vip", "--timeout must be a number of seconds from 1 to %d", MAX_TIMEOUT_S);
	return EXIT_OK;
}

static bool
open_address(Vip *vip)
{
	const PghaVipConf *conf = &vip->conf;
	PghaEc2Options ec2 = {
		.endpoint = conf->value[VIP_EC2_ENDPOINT],
		.imds_endpoint = conf->value[VIP_IMDS_ENDPOINT],
		.region = conf->value[VIP_REGION],
		.profile = conf->value[VIP_PROFILE],
		.insecure = pgha_vip_conf_is_on(conf, VIP_INSECURE),
		.dry_run = vip->dry_run,
		.log = say
	};

	vip->address = pgha_address_open(&vip->spec, &ec2);
	return vip->address != NULL;
}

int
pgha_vip_main(int argc, char **argv)
{
	static Vip	vip;

	if (argc < 2 || argv[1][0] == '-')
		return pgha_usage_error("vip", "it is not said what to do: up, down, show or announce");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		int			code;

		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		(void) signal(SIGPIPE, SIG_IGN);

		/* A core would hold credentials. */
		(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		code = set_up(argc - 1, argv + 1, &vip);
		if (code != EXIT_OK)
			return code;
		if (!open_address(&vip))
			return fail("out of memory");
		code = commands[i].run(&vip);
		pgha_vip_unlock();
		pgha_address_close(vip.address);
		return code;
	}
	return pgha_usage_error("vip", "\"%s\" is not up, down, show or announce", argv[1]);
}
