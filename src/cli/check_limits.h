/*
 * check_limits.h
 *		The limits that options of `pgha check` give, and their units.
 */
#ifndef PGHA_CHECK_LIMITS_H
#define PGHA_CHECK_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "check_report.h"

#define PGHA_LIMIT_TEXT	32

typedef enum PghaLimitUnit
{
	PGHA_LIMIT_COUNT,
	PGHA_LIMIT_BYTES,
	PGHA_LIMIT_SECONDS
} PghaLimitUnit;

/* A pair of limits; -1: there is none. */
typedef struct PghaLimits
{
	PghaLimitUnit unit;
	double		warning;
	double		critical;
} PghaLimits;

/*
 * Reads "WARN" or "WARN,CRIT": a number each, with a unit where it is no count
 * (ms, s, min, h, d; B, kB, MB, GB, TB).  A number alone is seconds where
 * `plain_seconds`, and else a count.  `allowed` (1 << unit) says what may be
 * written here; both must be of one kind.  Without CRIT there is none.
 */
extern bool pgha_check_limits_parse(const char *text, int allowed, bool plain_seconds, PghaLimits *limits);

/* The state of a value that must not be above the limits. */
extern PghaCheckState pgha_check_above(const PghaLimits *limits, double value);

/* A limit as performance data has it, NULL if there is none; a lower limit ends with a colon. */
extern const char *pgha_check_limit_text(double limit, bool lower, char text[PGHA_LIMIT_TEXT]);

/* Bytes or seconds in words: "16 MB", "2.5 s", "3 h". */
extern const char *pgha_check_amount(PghaLimitUnit unit, double value, char text[PGHA_LIMIT_TEXT]);

#endif							/* PGHA_CHECK_LIMITS_H */
