/*
 * event_kind.c
 *		The kinds of events: how much they matter, and which of them people are told.
 *
 * For the server, which logs them and checks pgha.notify_events, and for the agent,
 * which runs pgha.notify_command.  It knows words only.
 */
#include "event_kind.h"

#include <string.h>

#include "errors.h"

typedef struct Kind
{
	const char *name;
	PghaSeverity logged;		/* in the server's log */
	PghaSeverity told;			/* by pgha.notify_command */
	bool		usual;			/* told unless pgha.notify_events says otherwise */
} Kind;

#define LOG		PGHA_SEVERITY_LOG
#define WARNING	PGHA_SEVERITY_WARNING
#define ERROR	PGHA_SEVERITY_ERROR

/* Those that are no kind of a record, told only, come first. */
#define TOLD_ONLY	4

static const Kind kinds_known[] = {
	{"switchover", LOG, LOG, true},
	{"promoting", LOG, WARNING, false},
	{"recovery", LOG, LOG, true},	/* one that fails: an error (notify_job.c) */
	{"dropped", LOG, WARNING, true},
	{"failover", LOG, WARNING, true},
	{"lead", LOG, LOG, true},
	{"promote", LOG, LOG, true},
	{"fence", WARNING, WARNING, true},
	{"diverged", WARNING, WARNING, true},
	{"lost", WARNING, WARNING, true},
	{"archive", WARNING, WARNING, true},
	{"passive", WARNING, WARNING, true},
	{"stuck", WARNING, ERROR, true},
	{"quorum", WARNING, ERROR, true},
	{"slept", WARNING, WARNING, true},
	{"absent", WARNING, WARNING, true},
	{"returned", LOG, LOG, true},
	{"address_lost", WARNING, WARNING, true},
	{"pause", LOG, LOG, true},
	{"address", LOG, LOG, true},
	{"start", LOG, LOG, false},
	{"follow", LOG, LOG, false},
	{"wait", LOG, LOG, false},
};

#define KINDS	(sizeof(kinds_known) / sizeof(kinds_known[0]))
#define ALL		(~(PghaEventKinds) 0)

/* NULL for a kind of another version. */
static const Kind *
find(const char *name, size_t length)
{
	for (size_t i = 0; i < KINDS; i++)
	{
		if (strncmp(kinds_known[i].name, name, length) == 0 && kinds_known[i].name[length] == '\0')
			return &kinds_known[i];
	}
	return NULL;
}

const char *
pgha_event_record_kind(int number)
{
	return number >= 0 && (size_t) number < KINDS - TOLD_ONLY ? kinds_known[TOLD_ONLY + number].name : NULL;
}

PghaSeverity
pgha_event_log_severity(const char *kind)
{
	const Kind *known = find(kind, strlen(kind));

	return known != NULL ? known->logged : LOG;
}

const char *
pgha_event_told_kind(const char *kind, const char *what)
{
	if (strcmp(kind, "failover") == 0)
		return "promoting";
	if (strcmp(kind, "lead") != 0 || strncmp(what, PGHA_PROMOTED_TEXT, strlen(PGHA_PROMOTED_TEXT)) != 0)
		return kind;
	return strstr(what, " has handed over to this node") != NULL ? "switchover" : "failover";
}

PghaSeverity
pgha_event_told_severity(const char *told_kind)
{
	const Kind *known = find(told_kind, strlen(told_kind));

	return known != NULL ? known->told : LOG;
}

bool
pgha_event_kinds_have(PghaEventKinds kinds, const char *told_kind)
{
	const Kind *known = find(told_kind, strlen(told_kind));

	return known != NULL ? (kinds >> (known - kinds_known)) & 1 : kinds == ALL;
}

static PghaEventKinds
usual_kinds(void)
{
	PghaEventKinds kinds = 0;

	for (size_t i = 0; i < KINDS; i++)
	{
		if (kinds_known[i].usual)
			kinds |= (PghaEventKinds) 1 << i;
	}
	return kinds;
}

bool
pgha_event_kinds_parse(const char *text, PghaEventKinds *kinds, char *error, size_t error_size)
{
	static const char between[] = ", \t\n\r";

	*kinds = 0;
	for (text += strspn(text, between); *text != '\0'; text += strspn(text, between))
	{
		size_t		length = strcspn(text, between);
		const Kind *known = find(text, length);

		if (known != NULL)
			*kinds |= (PghaEventKinds) 1 << (known - kinds_known);
		else if (length == 3 && strncmp(text, "all", 3) == 0)
			*kinds = ALL;
		else
			return pgha_fail(error, error_size, "\"%.*s\" is not a kind of event", (int) (length < 64 ? length : 64), text);
		text += length;
	}
	if (*kinds == 0)
		*kinds = usual_kinds();
	return true;
}
