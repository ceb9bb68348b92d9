/*
 * check_report.h
 *		What `pgha check` has found, as one line with performance data, or as JSON.
 */
#ifndef PGHA_CHECK_REPORT_H
#define PGHA_CHECK_REPORT_H

#include <stdbool.h>

#include <jansson.h>

/* The states of the Monitoring Plugins; the values are their exit codes. */
typedef enum PghaCheckState
{
	PGHA_CHECK_OK,
	PGHA_CHECK_WARNING,
	PGHA_CHECK_CRITICAL,
	PGHA_CHECK_UNKNOWN
} PghaCheckState;

typedef struct PghaCheckReport
{
	json_t	   *findings;		/* {check, state, text} each, in the order of finding */
	json_t	   *values;			/* performance data: {label, value, unit, warning, critical, min, max} */
} PghaCheckReport;

extern const char *pgha_check_state_name(PghaCheckState state);

extern void pgha_check_report_init(PghaCheckReport *report);
extern void pgha_check_report_free(PghaCheckReport *report);

/* Adds a finding; the text may hold what servers have sent. */
extern void pgha_check_find(PghaCheckReport *report, const char *check, PghaCheckState state, const char *format,...)
			__attribute__((format(printf, 4, 5)));

/*
 * Adds a value: label of letters, digits and "_.-"; unit "", "s" or "B"; the
 * limits are ranges as the guidelines have them ("10", "2:"), or NULL.  A value
 * below 0 is not known.  max < 0: there is none.
 */
extern void pgha_check_value(PghaCheckReport *report, const char *label, double value, const char *unit,
							 const char *warning, const char *critical, double max);

/* CRITICAL before WARNING before UNKNOWN before OK. */
extern PghaCheckState pgha_check_worst(const PghaCheckReport *report);

/*
 * Prints the line, with `details` a line for each finding below it, or one JSON
 * object; returns the exit code.  `title` is what is said where all is in order.
 */
extern int	pgha_check_print(const PghaCheckReport *report, const char *title, bool details, bool json);

/* A text without what would end the line, or begin performance data; in place. */
extern char *pgha_check_clean(char *text);

#endif							/* PGHA_CHECK_REPORT_H */
