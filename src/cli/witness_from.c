/*
 * witness_from.c
 *		What `pgha witness init --from` asks of a member, and has the members told.
 *
 * For witness.c.  It logs in as the members' role, as `pgha join` does, and by the
 * same code.  It writes nothing on this host, and removes nothing anywhere.
 */
#include "witness_from.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"
#include "../common/log.h"
#include "../net/connect.h"
#include "join_add.h"
#include "join_fetch.h"
#include "subcommands.h"

static PghaJoin join;

/* As the witness will ask them: what lets this host into the database postgres may not let it in there. */
static bool
may_ask(PghaSetup *setup, const PghaAddress *member)
{
	char		port[16];
	const char *names[] = {"host", "port", "user", "password", "replication", "connect_timeout", "application_name", NULL};
	const char *values[] = {member->host, port, "pgha", setup->password, "true", "5", "pgha", NULL};
	PGconn	   *conn;
	bool		refused;

	(void) snprintf(port, sizeof(port), "%d", member->port);
	conn = pgha_connect_quietly(names, values, 0, NULL);
	/* Another reason may be over when the witness asks. */
	refused = PQstatus(conn) != CONNECTION_OK && strstr(PQerrorMessage(conn), "pg_hba.conf") != NULL;
	if (refused)
	{
		(void) pgha_setup_refuse(setup, "In front of all other lines of its pg_hba.conf let this host in: host replication,postgres pgha ADDRESS/32 scram-sha-256; then reload.",
								 "member \"%s\" does not let this host in: %s", member->name, PQerrorMessage(conn));
		pgha_shown(setup->error, false);
	}
	PQfinish(conn);
	return !refused;
}

static bool
may_ask_all(PghaSetup *setup)
{
	PghaMembers members;

	if (!pgha_members_parse(setup->members, &members, setup->error, sizeof(setup->error)))
		return false;
	for (int i = 0; i < members.count; i++)
		if (!may_ask(setup, &members.member[i]))
			return false;
	return true;
}

/* The lists and settings become those of the witness. */
static int
take(PghaWitness *witness)
{
	PghaSetup  *setup = &join.setup;

	if (setup->setting_count > PGHA_WITNESS_MAX_SETTINGS ||
		snprintf(witness->witnesses, sizeof(witness->witnesses), "%s", setup->witnesses) >= (int) sizeof(witness->witnesses))
	{
		pgha_error(stderr, NULL, "what the member says of its cluster is too long");
		return EXIT_ERROR;
	}
	witness->members = setup->members;
	witness->cluster = setup->cluster;
	memcpy(witness->setting, setup->setting, sizeof(witness->setting[0]) * (size_t) setup->setting_count);
	witness->setting_count = setup->setting_count;
	return EXIT_OK;
}

int
pgha_witness_fetch(PghaWitness *witness, const char *from, const char *host, const char *port)
{
	static char address[PGHA_HOST_SIZE + 32];
	PghaSetup  *setup = &join.setup;
	bool		made;
	bool		fetched;

	join.from = from;
	join.witness = true;
	setup->node = witness->node;
	setup->survey.port = port != NULL ? atoi(port) : 5432;
	if (host != NULL)
	{
		(void) snprintf(address, sizeof(address), strchr(host, ':') != NULL ? "[%.200s]:%d" : "%.200s:%d", host, setup->survey.port);
		join.address = address;
	}
	(void) snprintf(setup->password, sizeof(setup->password), "%s", witness->password);
	for (int i = 0; i < witness->setting_count; i++)
		(void) pgha_setup_add_setting(setup, witness->setting[i]);

	made = pgha_witness_is_made(witness);
	fetched = pgha_join_fetch(&join) &&
		(!join.runs || made || pgha_setup_refuse(setup, "Choose another name with --node.", "there is a node \"%s\" that runs", setup->node)) &&
		may_ask_all(setup);
	if (!fetched)
	{
		if (setup->hint[0] == '\0')
			(void) snprintf(setup->hint, sizeof(setup->hint), "Nothing was changed.");
		return pgha_setup_error(setup);
	}
	return take(witness);
}

int
pgha_witness_add(const PghaWitness *witness)
{
	PghaSetup  *setup = &join.setup;
	bool		added = !join.adds || pgha_join_add(&join);
	char		hint[sizeof(setup->hint)];

	explicit_bzero(setup->password, sizeof(setup->password));
	if (added)
		return EXIT_OK;

	/* It stays: whether one of the members knows it by now is not known. */
	(void) snprintf(hint, sizeof(hint), "%s", setup->hint);
	if (!join.forbidden)
		(void) snprintf(setup->hint, sizeof(setup->hint), "%.1024s%sThe witness in \"%.2048s\" runs; the same command goes on.", hint, hint[0] != '\0' ? "  " : "", witness->data);
	(void) pgha_setup_error(setup);
	return join.forbidden ? EXIT_FORBIDDEN : EXIT_ERROR;
}
