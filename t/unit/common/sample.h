/*
 * sample.h
 *		A report as a member sends it, for the tests of those who read it.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "../../../src/common/report.h"

/* The records of a report that was read: how many, and the last one. */
typedef struct Records
{
	int			count;
	PghaRecord	last;
} Records;

extern void make_members(PghaMembers *members);
extern void make_report(PghaReport *report);
extern bool same_report(const PghaReport *a, const PghaReport *b);
extern char *report_text(void);
extern bool parses(const char *text, PghaReport *report, Records *records);

#endif							/* SAMPLE_H */
