/*
 * ec2_tool.c
 *		Drives src/net/address_ec2.c from a test: one command a line, one answer a line.
 *
 * usage: ec2_tool [endpoint=URL] [imds=URL] [region=R] [profile=P] [dry_run]
 *
 *		ADDRESS			ec2 IP | elastic ALLOCATION | route IP TABLE[,TABLE…]
 *		prepare ADDRESS
 *		take LIMIT_MS TIMES ADDRESS		still_leader says yes that many times; -1: is not given
 *		release ADDRESS					check ADDRESS
 *		mac ADDRESS						may ADDRESS
 *		instance						stop ID LIMIT_MS			may_stop ID
 *
 * An answer is "yes[ text]" or "no[ text]"; check says "held", "not_held" or
 * "unknown", and the text.  Log lines go to stderr.
 */
#include "../../src/net/address_ec2.h"
#include "../../src/net/ec2_stop.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int	times_leader;

static void log_line(const char *format,...)
			__attribute__((format(printf, 1, 2)));

static void
log_line(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static bool
still_leader(void *arg)
{
	(void) arg;
	return times_leader-- > 0;
}

/* The rest of the line of words. */
static PghaAddressSpec
parse_spec(void)
{
	PghaAddressSpec spec = {.family = AF_INET,.prefix = 32};
	const char *kind = strtok(NULL, " ");
	const char *value = strtok(NULL, " ");
	char	   *tables = strtok(NULL, " ");

	if (kind == NULL || value == NULL)
		return spec;
	if (strcmp(kind, "elastic") == 0)
	{
		spec.kind = PGHA_ADDRESS_EC2_ELASTIC;
		snprintf(spec.allocation, sizeof(spec.allocation), "%s", value);
		return spec;
	}
	spec.kind = strcmp(kind, "ec2") == 0 ? PGHA_ADDRESS_EC2 : PGHA_ADDRESS_EC2_ROUTE;
	snprintf(spec.ip, sizeof(spec.ip), "%s", value);
	if (strchr(value, ':') != NULL)
	{
		spec.family = AF_INET6;
		spec.prefix = 128;
	}
	for (char *table = tables; table != NULL; table = tables)
	{
		tables = strchr(table, ',');
		if (tables != NULL)
			*tables++ = '\0';
		snprintf(spec.table[spec.tables++], sizeof(spec.table[0]), "%s", table);
	}
	return spec;
}

/* The commands that say something when all is well. */
static bool
tells(const char *command)
{
	return strcmp(command, "mac") == 0 || strcmp(command, "instance") == 0 ||
		strncmp(command, "may", 3) == 0;
}

static void
answer(const char *word, const char *text)
{
	printf("%s %s\n", word, text);
	fflush(stdout);
}

static void
obey(PghaEc2 *ec2, const char *command)
{
	static const char *const holders[] = {"held", "not_held", "unknown"};
	PghaAddressSpec spec;
	char		text[1024] = "";
	bool		done = false;

	if (strcmp(command, "take") == 0)
	{
		int			limit_ms = atoi(strtok(NULL, " "));

		times_leader = atoi(strtok(NULL, " "));
		spec = parse_spec();
		done = pgha_ec2_take(ec2, &spec, limit_ms, times_leader < 0 ? NULL : still_leader, NULL,
							 text, sizeof(text));
	}
	else if (strcmp(command, "instance") == 0)
		done = pgha_ec2_instance(ec2, text, sizeof(text), text, sizeof(text));
	else if (strcmp(command, "stop") == 0)
	{
		const char *id = strtok(NULL, " ");

		done = pgha_ec2_stop_instance(ec2, id, atoi(strtok(NULL, " ")), text, sizeof(text));
	}
	else if (strcmp(command, "may_stop") == 0)
		done = pgha_ec2_may_stop(ec2, strtok(NULL, " "), text, sizeof(text));
	else
	{
		spec = parse_spec();
		if (strcmp(command, "prepare") == 0)
			done = pgha_ec2_prepare(ec2, &spec, text, sizeof(text));
		else if (strcmp(command, "release") == 0)
			done = pgha_ec2_release(ec2, &spec, text, sizeof(text));
		else if (strcmp(command, "mac") == 0)
			done = pgha_ec2_mac(ec2, &spec, text, sizeof(text));
		else if (strcmp(command, "may") == 0)
			done = pgha_ec2_may(ec2, &spec, text, sizeof(text));
		else if (strcmp(command, "check") == 0)
		{
			PghaHolder	holder = pgha_ec2_check(ec2, &spec, text, sizeof(text));

			answer(holders[holder], holder == PGHA_HELD ? "" : text);
			return;
		}
	}
	answer(done ? "yes" : "no", done && !tells(command) ? "" : text);
}

int
main(int argc, char **argv)
{
	PghaEc2Options options = {.log = log_line, .insecure = true};
	PghaEc2    *ec2;
	char		line[4096];

	for (int i = 1; i < argc; i++)
	{
		const char *value = strchr(argv[i], '=') != NULL ? strchr(argv[i], '=') + 1 : "";

		if (strncmp(argv[i], "endpoint=", 9) == 0)
			options.endpoint = value;
		else if (strncmp(argv[i], "imds=", 5) == 0)
			options.imds_endpoint = value;
		else if (strncmp(argv[i], "region=", 7) == 0)
			options.region = value;
		else if (strncmp(argv[i], "profile=", 8) == 0)
			options.profile = value;
		else if (strcmp(argv[i], "secure") == 0)
			options.insecure = false;
		else if (strcmp(argv[i], "dry_run") == 0)
			options.dry_run = true;
	}
	signal(SIGPIPE, SIG_IGN);
	ec2 = pgha_ec2_new(&options);
	if (ec2 == NULL)
		return 1;
	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0')
			obey(ec2, strtok(line, " "));
	}
	pgha_ec2_free(ec2);
	return 0;
}
