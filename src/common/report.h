/*
 * report.h
 *		PghaReport as text: what SHOW pgha.report returns and peers read.
 *
 * "pgha-1" and then key=value fields, tab-separated (fields.h).  Unknown keys
 * are skipped, so that newer members can be read; a member of another first
 * field cannot.  Members travel by name, as the numbering is each node's own.
 */
#ifndef PGHA_REPORT_H
#define PGHA_REPORT_H

#include "fields.h"
#include "members.h"

/* An entry of the event log as it travels and is stored. */
typedef struct PghaRecord
{
	uint64_t	id;				/* microseconds since the Unix epoch, unique and ascending per node */
	char		node[PGHA_NAME_SIZE];	/* where it happened */
	char		kind[24];
	uint64_t	term;
	char		what[320];		/* one sentence; longer text is cut */
} PghaRecord;

/* Letters, digits and hyphens only?  An empty text is valid, too. */
extern bool pgha_instance_valid(const char *text);

/* Appends the report to `line`. */
extern void pgha_report_format(PghaLine *line, const PghaReport *report, const PghaMembers *members);

/* Appends one event record to a line that begins with a report. */
extern void pgha_report_add_record(PghaLine *line, const PghaRecord *record);

/*
 * Parses a report, destroying `text`.  Event records are handed to `record`
 * (may be NULL) as they come.  False if it is not a report, or damaged: every
 * number is checked, every string fits; *report is then undefined.
 */
extern bool pgha_report_parse(char *text, const PghaMembers *members, PghaReport *report,
							  void (*record) (const PghaRecord *record, void *arg), void *arg);

/*
 * Parses the text of a timeline history file (backend's readTimeLineHistory:
 * "<timeline> <hi>/<lo> <reason>" lines, '#' comments).  False if it is damaged.
 * Of more than PGHA_MAX_HISTORY timelines the youngest are kept.
 */
extern bool pgha_history_parse(const char *text, uint32_t timeline, PghaHistory *history);

#endif							/* PGHA_REPORT_H */
