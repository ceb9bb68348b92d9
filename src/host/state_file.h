/*
 * state_file.h
 *		PGDATA/pgha.state as read while the server is down.
 */
#ifndef PGHA_STATE_FILE_H
#define PGHA_STATE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "../common/members.h"

typedef enum PghaStateLook
{
	PGHA_STATE_FILE_READ,
	PGHA_STATE_FILE_ABSENT,
	PGHA_STATE_FILE_UNUSABLE	/* cannot be read, or is damaged: what it says is not known */
} PghaStateLook;

/* What of it matters here; what the file does not say is 0. */
typedef struct PghaStateFacts
{
	char		node[PGHA_NAME_SIZE];	/* whose state it is: a copy brings along another node's */
	uint64_t	system_identifier;
	uint64_t	term;
	char		leader[PGHA_NAME_SIZE];	/* of that term */
	bool		standby;		/* what it was, or has made up its mind to be */
	bool		fenced;
	bool		diverged;
	bool		paused;
	uint64_t	pause_generation;
} PghaStateFacts;

/* What a recovery leaves to the server that it starts: a pgha.state of which the votes count. */
#define PGHA_VOTES_FILE	"pgha.votes"

/* Reads the file of a data directory; *facts is zero unless the result is READ. */
extern PghaStateLook pgha_state_file_read(const char *data, PghaStateFacts *facts);

/* The same of PGHA_VOTES_FILE. */
extern PghaStateLook pgha_votes_file_read(const char *data, PghaStateFacts *facts);

#endif							/* PGHA_STATE_FILE_H */
