/*
 * io_child.h
 *		`pgha io` children: a process for each peer that does the network work, and
 *		one that asks the archive.
 */
#ifndef PGHA_IO_CHILD_H
#define PGHA_IO_CHILD_H

#include "postgres.h"

#include "../common/conninfo.h"
#include "../common/fields.h"

/* application_name of their connections: never a member's name, which stands for its WAL receiver. */
#define PGHA_IO_NAME	"pgha io"

typedef struct PghaChild
{
	pid_t		pid;			/* 0: not running */
	int			fd;				/* our end of its stdin and stdout; -1 if not running */
	bool		connected;		/* its last answer was "ok": it runs, and need not connect */
	bool		plain;			/* ... was of an older version, and was not waited for */
	const char *where;			/* ... came from there, or was refused there (net/io.c); valid as *text is */
	uint64		request;		/* id of the request under way; 0 = none */
	pgha_time	deadline;		/* kill it if it has not answered by then */
	size_t		filled;			/* bytes of an unfinished line in buffer */
	char		buffer[PGHA_LINE_SIZE];
} PghaChild;

typedef enum PghaChildRead
{
	PGHA_CHILD_NOTHING,			/* no whole line yet */
	PGHA_CHILD_REPLY,			/* *outcome and *text are set */
	PGHA_CHILD_GONE				/* ended, or spoke garbage: has been stopped */
} PghaChildRead;

/* Path of the program: the `pgha` beside the server's executable; MAXPGPATH bytes. */
extern void PghaProgramPath(char *path);

extern void PghaChildInit(PghaChild *child);

/*
 * Starts a child that will talk to `conninfo`.  False with errno set if that
 * is impossible.
 */
extern bool PghaChildStart(PghaChild *child, const char *conninfo);

/* The same for one that will ask the archive with this restore_command. */
extern bool PghaChildStartArchive(PghaChild *child, const char *command);

/* Sends a command with its arguments, which must be answered within `limit`; false if the child is gone. */
extern bool PghaChildRequest(PghaChild *child, const char *request, pgha_time now, pgha_time limit);

/* Reads without blocking.  *outcome and *text are valid until any child is read again. */
extern PghaChildRead PghaChildPoll(PghaChild *child, char **outcome, char **text);

/* Ends and reaps the child, if it runs. */
extern void PghaChildStop(PghaChild *child);

#endif							/* PGHA_IO_CHILD_H */
