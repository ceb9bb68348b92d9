/*
 * progress.h
 *		How far a recovery is, as a line with a bar.
 */
#ifndef PGHA_PROGRESS_H
#define PGHA_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* A row of pgha_recovery_progress(), with its age in `seconds`. */
typedef struct PghaProgress
{
	char		node[64];
	json_int_t	job;
	char		method[16];
	char		phase[32];
	char		message[512];
	char		outcome[16];	/* "": under way */
	json_int_t	done;			/* bytes */
	json_int_t	total;			/* 0: unknown */
	double		seconds;		/* since it began */
} PghaProgress;

#define PGHA_RATE_SAMPLES	32

/* What is needed to say how fast it goes: how far it was at the last looks. */
typedef struct PghaRate
{
	json_int_t	job;
	char		phase[32];
	int			count;
	long long	at[PGHA_RATE_SAMPLES];	/* ms, oldest first */
	json_int_t	done[PGHA_RATE_SAMPLES];
} PghaRate;

/* False if the row tells of no recovery. */
extern bool pgha_progress_read(const json_t *row, PghaProgress *progress);

/* Takes a look into account; begins anew with another job or phase. */
extern void pgha_rate_look(PghaRate *rate, const PghaProgress *progress, long long now_ms);

/* Bytes per second; negative if that cannot be said. */
extern double pgha_rate(const PghaRate *rate);

/*
 * Writes a line of at most `width` columns: phase, bar, percent, MB, MB/s, time
 * left; on a narrow terminal the less important ones are left out.
 */
extern void pgha_progress_line(const PghaProgress *progress, double bytes_per_second, int width, char *line, size_t size);

#endif							/* PGHA_PROGRESS_H */
