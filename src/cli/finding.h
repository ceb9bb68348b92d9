/*
 * finding.h
 *		What a check of `pgha doctor` finds.
 *
 * A finding is a JSON object as pgha_doctor() makes it: severity (ok, info,
 * warning, error), check (a stable name), finding, remedy (null if it is ok).
 */
#ifndef PGHA_FINDING_H
#define PGHA_FINDING_H

#include <jansson.h>

/* Appends a finding; `remedy` is NULL for one that is "ok". */
extern void pgha_finding(json_t *findings, const char *severity, const char *check,
						 const char *remedy, const char *format,...)
			__attribute__((format(printf, 5, 6)));

#endif							/* PGHA_FINDING_H */
