/*
 * watch_reader.h
 *		One that asks a member again and again, for `pgha status --watch`.
 */
#ifndef PGHA_WATCH_READER_H
#define PGHA_WATCH_READER_H

#include <sys/types.h>

#include "client.h"

typedef struct PghaReader
{
	const PghaClientOptions *options;
	char		address[300];	/* the member's; "": as the options say */
	pid_t		pid;			/* 0: does not run */
	int			input;
	char	   *line;			/* what has come of a document */
	size_t		length;
	long long	restart_ms;		/* not before */
} PghaReader;

/* Starts it if it does not run and its time has come; it goes on until it is ended, or this process is. */
extern void pgha_reader_run(PghaReader *reader);

/* Reads what has come: the last whole document, or NULL.  {"failure": "..."} stands for no answer. */
extern json_t *pgha_reader_take(PghaReader *reader);

/* Ends it, and frees what it has. */
extern void pgha_reader_end(PghaReader *reader);

#endif							/* PGHA_WATCH_READER_H */
