/*
 * finding.h
 *		What a check of pgha_doctor() may ask, and how it tells what it found.
 */
#ifndef PGHA_FINDING_H
#define PGHA_FINDING_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "../shmem.h"

typedef enum PghaSeverity
{
	PGHA_FINE,					/* looked at, and in order */
	PGHA_INFO,					/* worth knowing; a choice that has a price */
	PGHA_WARNING,				/* weakens failover or the way back */
	PGHA_ERROR					/* failover or replication does not work */
} PghaSeverity;

typedef struct PghaDoctor
{
	const char *check;			/* name of the check that runs */
	int			findings;		/* rows it has put so far */
	struct ReturnSetInfo *result;
	bool		in_recovery;
	PghaView   *view;			/* NULL unless the monitor has published one */
} PghaDoctor;

/*
 * Puts a row: what was found, with the actual value, and what to write or run.
 * A check puts at least one.
 */
extern void PghaDoctorFind(PghaDoctor *doctor, PghaSeverity severity, const char *remedy,
						   const char *format,...) __attribute__((format(printf, 4, 5)));

/* The row of a check that has found nothing wrong. */
extern void PghaDoctorFine(PghaDoctor *doctor, const char *format,...) __attribute__((format(printf, 2, 3)));

/*
 * Runs a query with the rights of the caller, and returns the number of rows.
 * Their fields (from 0 on) are there until the next query; null is "".
 */
extern int	PghaDoctorQuery(const char *format,...) __attribute__((format(printf, 1, 2)));
extern const char *PghaDoctorField(int row, int column);
extern bool PghaDoctorTrue(int row, int column);

/* A value of PostgreSQL's settings as text, "" if there is no such setting. */
extern const char *PghaDoctorSetting(const char *name);

/* Appends ", " and `text`, or only `text` if it is the first. */
extern void PghaDoctorList(StringInfo list, const char *text);

/* The names of the members as an SQL array. */
extern const char *PghaDoctorMembers(const PghaView *view);

/* A number of bytes in words. */
extern const char *PghaDoctorSize(uint64 bytes);

/* Value of a keyword of pgha.conninfo, or NULL. */
extern const char *PghaDoctorConninfo(const char *keyword);

#endif							/* PGHA_FINDING_H */
