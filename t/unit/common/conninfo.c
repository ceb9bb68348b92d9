/*
 * conninfo.c
 *		pgha.conninfo, and the connection strings that are built from it.
 */
#include "test.h"

#include "../../../src/common/conninfo.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Is every keyword of libpq whose value is a secret refused?  libpq marks them
 * with "*", but not all in all versions, so that their names are looked at too.
 */
static void
test_secrets(void)
{
	PQconninfoOption *options = PQconndefaults();
	char		refusal[256] = "";
	int			count = 0;

	ok(!pgha_conninfo_check("oauth_client_secret=y", refusal, sizeof(refusal)), "one of a later libpq, too: %s", refusal);
	for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
	{
		char		text[128];
		char		error[256] = "";

		if (strchr(option->dispchar, '*') == NULL && strstr(option->keyword, "secret") == NULL &&
			strstr(option->keyword, "password") == NULL && strncmp(option->keyword, "scram_", 6) != 0)
			continue;
		(void) snprintf(text, sizeof(text), "user=x %s=y", option->keyword);
		ok(!pgha_conninfo_check(text, error, sizeof(error)), "libpq's %s is refused: %s", option->keyword, error);
		count++;
	}
	ok(count >= 2, "libpq has %d keywords for secrets", count);
	PQconninfoFree(options);
}

void
test_conninfo(void)
{
	static const struct
	{
		const char *text;
		const char *complaint;
	}			cases[] =
	{
		{"", NULL},
		{"  ", NULL},
		{"user=pgha dbname=postgres", NULL},
		{"user = 'p g h a'passfile='/tmp/it''s'", "expected"},
		{"user = 'p g h a'passfile='/tmp/it\\'s'  sslmode=\\'x", NULL},
		{"user=''", NULL},
		{"user=", "missing"},
		{"user= ", "missing"},
		{"user", "At character 1 "},
		{"user=a secret", "At character 8 "},
		{"=x", "expected"},
		{"user='secret", "closing quote"},
		{"user='secret\\", "backslash"},
		{"user=secret\\", "backslash"},
		{"password=secret", "passfile"},
		{"user=x PASSWORD = 'secret'", "passfile"},
		{"sslpassword=secret", "passphrase"},
		{"scram_client_key=secret", "seen in"},
		{"SCRAM_SERVER_KEY=secret", "seen in"},
		{"servicefile=/x", "service file"},
		{"host=h", "pgha.members"},
		{"hostaddr=h", "pgha.members"},
		{"port=1", "pgha.members"},
		{"application_name=x", "itself"},
		{"fallback_application_name=x", "itself"},
		{"replication=true", "itself"},
		{"options='-c x=y'", "itself"},
		{"service=x", "service"},
		{"target_session_attrs=any", "role"},
		{"passfile=password=x", NULL},
		{"postgres://u@h/", "URI"},
		{"postgresql://u:secret@h/", "URI"},
	};
	PghaAddress address = {"db-1", "fd00::1", 5433};
	char		error[256];
	char		out[PGHA_CONNINFO_SIZE];
	char	   *longest = malloc(PGHA_CONNINFO_SIZE + 1);

	test_secrets();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		accepted;

		error[0] = '\0';
		accepted = pgha_conninfo_check(cases[i].text, error, sizeof(error));
		if (cases[i].complaint == NULL)
			ok(accepted, "conninfo {%s} accepted %s", cases[i].text, error);
		else
			ok(!accepted && strstr(error, cases[i].complaint) != NULL && strstr(error, "secret") == NULL,
			   "conninfo {%s}: %s", cases[i].text, error);
	}

	ok(pgha_conninfo_build(out, sizeof(out), " user=x", &address, "it's\\", "replication=true") &&
	   strcmp(out, "user=x host='fd00::1' port='5433' application_name='it\\'s\\\\' replication=true") == 0,
	   "build: %s", out);
	ok(pgha_conninfo_build(out, sizeof(out), "", &address, "n", NULL) &&
	   strcmp(out, "host='fd00::1' port='5433' application_name='n'") == 0,
	   "build without options");
	for (size_t size = strlen(out) + 1; size > 0; size--)
	{
		char	   *exact = malloc(size);
		bool		fits = pgha_conninfo_build(exact, size, "", &address, "n", NULL);

		if (fits != (size > strlen(out)))
			ok(false, "build into %zu bytes", size);
		free(exact);
	}
	ok(true, "build into buffers of all sizes");

	ok(pgha_conninfo_get("user = 'a b' dbname=x USER=c\\'d", "user", out, sizeof(out)) &&
	   strcmp(out, "c'd") == 0, "get: %s", out);
	ok(pgha_conninfo_get(" user = 'it\\'s ' dbname=x", "user", out, sizeof(out)) &&
	   strcmp(out, "it's ") == 0, "get a quoted value: %s", out);
	ok(pgha_conninfo_get("user=a dbname=''", "dbname", out, sizeof(out)) && out[0] == '\0', "get an empty value");
	ok(!pgha_conninfo_get("user=a dbname=x", "passfile", out, sizeof(out)), "get what is not there");
	ok(!pgha_conninfo_get("user=abc", "user", out, 3), "get what does not fit");
	ok(pgha_conninfo_get("user=abc", "user", out, 4), "get what just fits");

	memset(longest, ' ', PGHA_CONNINFO_SIZE);
	memcpy(longest, "user=x", 6);
	longest[PGHA_CONNINFO_SIZE] = '\0';
	ok(!pgha_conninfo_check(longest, error, sizeof(error)), "too long: %s", error);
	for (int length = PGHA_CONNINFO_SIZE; length > 0; length--)
	{
		longest[length] = '\0';
		if (pgha_conninfo_check(longest, error, sizeof(error)))
			break;
	}
	memset(address.host, 'h', sizeof(address.host) - 1);
	ok(pgha_conninfo_build(out, sizeof(out), longest, &address,
						   "a123456789012345678901234567890123456789012345678901234567",
						   "replication=true connect_timeout=10"),
	   "the longest text that is accepted can be built from");
	free(longest);
}
