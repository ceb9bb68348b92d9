/*
 * state_file.c
 *		PGDATA/pgha.state as read while the server is down.
 *
 * The server writes it (server/state.c): lines key=value, and the checksum of
 * all of them at the end.  Here it is only read.  A file that is damaged, or of
 * a later version than is known here, says nothing, also where a line looks sound.
 */
#include "state_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/fields.h"
#include "durable.h"

#define HEADER	"pgha state "
#define NEWEST	2				/* it has votes besides, which are of no account here */

/* CRC-32C, as PostgreSQL's COMP_CRC32C(). */
static uint32_t
checksum(const char *text, size_t length)
{
	uint32_t	crc = UINT32_MAX;

	for (size_t i = 0; i < length; i++)
	{
		crc ^= (unsigned char) text[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0x82F63B78) : 0);
	}
	return ~crc;
}

/* Takes one line; false if a fact that matters cannot be read from it. */
static bool
take_line(PghaStateFacts *facts, char *line)
{
	char	   *value = strchr(line, '=');
	uint64_t	flag = 0;
	bool		good = true;

	if (value == NULL)
		return false;
	*value++ = '\0';
	if (strcmp(line, "node") == 0)
		good = snprintf(facts->node, sizeof(facts->node), "%s", value) < (int) sizeof(facts->node);
	else if (strcmp(line, "system_identifier") == 0)
		good = pgha_parse_uint64(value, &facts->system_identifier);
	else if (strcmp(line, "term") == 0)
		good = pgha_parse_uint64(value, &facts->term);
	else if (strcmp(line, "leader") == 0)
		good = snprintf(facts->leader, sizeof(facts->leader), "%s", value) < (int) sizeof(facts->leader);
	else if (strcmp(line, "role") == 0)
	{
		good = pgha_parse_uint64(value, &flag);
		facts->standby = flag == PGHA_ROLE_STANDBY;
	}
	else if (strcmp(line, "fenced") == 0)
	{
		good = pgha_parse_uint64(value, &flag);
		facts->fenced = flag != 0;
	}
	else if (strcmp(line, "diverged") == 0)
	{
		good = pgha_parse_uint64(value, &flag);
		facts->diverged = flag != 0;
	}
	else if (strcmp(line, "pause_generation") == 0)
		good = pgha_parse_uint64(value, &facts->pause_generation);
	else if (strcmp(line, "paused") == 0)
	{
		good = pgha_parse_uint64(value, &flag);
		facts->paused = flag != 0;
	}
	return good;
}

static PghaStateLook
read_facts(const char *data, const char *name, PghaStateFacts *facts)
{
	char		path[PATH_MAX + 16];
	char	   *text;
	char	   *sum;
	char	   *rest;
	char	   *line;
	bool		good;

	memset(facts, 0, sizeof(*facts));
	(void) snprintf(path, sizeof(path), "%s/%s", data, name);
	text = pgha_read_file(path, NULL);
	if (text == NULL)
		return errno == ENOENT ? PGHA_STATE_FILE_ABSENT : PGHA_STATE_FILE_UNUSABLE;

	sum = strstr(text, "\ncrc=");
	good = sum != NULL && strncmp(text, HEADER, strlen(HEADER)) == 0 &&
		strtoul(sum + 5, NULL, 16) == checksum(text, (size_t) (sum + 1 - text));
	if (good)
	{
		uint64_t	version = 0;

		*sum = '\0';
		rest = text + strlen(HEADER);
		line = strsep(&rest, "\n");
		good = pgha_parse_uint64(line, &version) && version <= NEWEST;
		while ((line = strsep(&rest, "\n")) != NULL)
			good &= take_line(facts, line);
	}
	free(text);
	if (good)
		return PGHA_STATE_FILE_READ;
	memset(facts, 0, sizeof(*facts));
	return PGHA_STATE_FILE_UNUSABLE;
}

PghaStateLook
pgha_state_file_read(const char *data, PghaStateFacts *facts)
{
	return read_facts(data, "pgha.state", facts);
}

PghaStateLook
pgha_votes_file_read(const char *data, PghaStateFacts *facts)
{
	return read_facts(data, PGHA_VOTES_FILE, facts);
}
